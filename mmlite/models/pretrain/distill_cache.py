"""Features of frozen teachers on disk."""

import hashlib
import math
import os
import shutil
import zlib
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from filelock import FileLock

from mmlite.errors import ArgumentError, OutputError

STAMP = 3 * 4 * 4  # numbers that tell one image from another
HEADER = 4 + 4 * STAMP  # checksum and stamp, bytes


class FeatureCache:
    """Features of fixed images in bfloat16, in a memory-mapped file with a row for each sample.

    The file's name is a digest of the teachers' weights and settings, what is read of them, the
    shape of the images and the number of samples. A row holds its checksum and a thumbnail of its
    image: a row that was not written to its end is computed again, and another image under the same
    id is an error. Any number of processes may share the file.

    Args:
        dir (str): Directory, made as needed.
        settings (str): Of the teachers and their images. Given by the distillation.
    """

    def __init__(self, dir, settings):
        self.dir = Path(dir)
        self.settings = settings
        self.samples = None
        self.rows = None

    def open(self, samples):
        """Set the number of samples; the file is opened when the first features are known."""
        self.samples = samples

    def fetch(self, ids, images, compute, teacher):
        """Features of images (B, 3, H, W) with ``ids``, list[int]: dict of bfloat16 (B, ...).

        ``compute(images)`` returns them, and is called for those that are not in the file.

        Raises:
            ArgumentError: An id is out of range, or stands for another image than before.
            OutputError: The file would be larger than the free space.
        """
        if self.rows is None:
            found = compute(images[:1])
            self.shapes = {key: tensor.shape[1:] for key, tensor in found.items()}
            self._map(self._digest(teacher, images))
        if not all(0 <= i < self.samples for i in ids):
            raise ArgumentError(
                f'sample {max(ids)} is not one of the {self.samples} of the feature cache'
            )
        stamps = F.adaptive_avg_pool2d(images.float(), 4).flatten(1).cpu().numpy()
        missing = [b for b, i in enumerate(ids) if not self._holds(i, stamps[b])]
        if missing:
            found = compute(images[missing])
            parts = [found[key].to(torch.bfloat16).flatten(1).cpu() for key in self.shapes]
            for b, *row in zip(missing, *parts, strict=True):
                self._write(ids[b], stamps[b], torch.cat(row))
        rows = torch.from_numpy(self.rows[ids][:, HEADER:]).contiguous().view(torch.bfloat16)
        parts = rows.split([math.prod(shape) for shape in self.shapes.values()], dim=1)
        return {
            key: part.reshape(-1, *shape).to(images.device, non_blocking=True)
            for (key, shape), part in zip(self.shapes.items(), parts, strict=True)
        }

    def _digest(self, teacher, images):
        digest = hashlib.sha256(self.settings.encode())
        for key, tensor in teacher.state_dict().items():
            digest.update(key.encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
        digest.update(repr((self.shapes, images.shape[1:], self.samples)).encode())
        return digest.hexdigest()[:16]

    def _map(self, digest):
        """Map the file, and make it, sparse, if there is none."""
        width = HEADER + 2 * sum(math.prod(shape) for shape in self.shapes.values())
        size = width * self.samples
        self.dir.mkdir(parents=True, exist_ok=True)
        path = self.dir / f'{digest}.features'
        with FileLock(f'{path}.lock'):
            used = path.stat().st_blocks * 512 if path.exists() else 0
            free = shutil.disk_usage(self.dir).free
            if size - used > free:
                raise OutputError(
                    f'features of {self.samples:,} samples need {size:,} bytes but {self.dir} has '
                    f'{free + used:,}: distill fewer tokens or without a cache'
                )
            if not path.exists():
                partial = path.with_suffix('.partial')
                with open(partial, 'wb') as file:
                    file.truncate(size)
                os.replace(partial, path)
        self.rows = np.memmap(path, np.uint8, 'r+', shape=(self.samples, width))

    def _holds(self, index, stamp):
        """Whether the row is whole; an ArgumentError if it is of another image."""
        row = self.rows[index]
        if row[:4].view(np.uint32)[0] != zlib.crc32(row[4:]):
            return False
        if np.abs(row[4:HEADER].view(np.float32) - stamp).max() > 0.01:
            raise ArgumentError(
                f'sample {index} is not the image whose features are in {self.dir}: a feature '
                f'cache requires a pipeline without random transforms, and data that stay the same'
            )
        return True

    def _write(self, index, stamp, features):
        body = stamp.tobytes() + features.view(torch.uint8).numpy().tobytes()
        row = np.uint32(zlib.crc32(body)).tobytes() + body
        self.rows[index] = np.frombuffer(row, np.uint8)
