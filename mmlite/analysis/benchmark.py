"""What a training step costs: time, memory and multiply-adds, and the table it goes into."""

import copy
import csv
import platform
import resource
import sys
import time
from pathlib import Path

import numpy as np
import torch
from mmengine.dataset import Compose
from torch.utils.data import Dataset

from mmlite.errors import DataError

from .complexity import count_macs

SOURCE_SIZE = (375, 500)
"""(H, W) in pixels of random images, about the mean of ImageNet's."""


class RandomImages(Dataset):
    """Noise that went through a data set's own pipeline, where there are no data.

    Args:
        pipeline (list[dict]): Transforms of a config; those whose name starts with ``Load`` are
            left out.
        distinct (int): Images that are made; after them, copies are given. Defaults to 16.
        length (int): Reported length. Defaults to 10,000.
    """

    def __init__(self, pipeline, distinct=16, length=10_000):
        steps = [t for t in pipeline if not t['type'].split('.')[-1].startswith('Load')]
        self.pipeline = Compose(steps)
        self.distinct = distinct
        self.length = length
        self.samples = {}

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        number = index % self.distinct
        if number not in self.samples:
            image = np.random.default_rng(number).integers(0, 256, (*SOURCE_SIZE, 3), np.uint8)
            results = dict(img=image, img_path=f'{number}.png', gt_label=0, sample_idx=number)
            results['img_shape'] = results['ori_shape'] = SOURCE_SIZE
            self.samples[number] = self.pipeline(results)
        return copy.deepcopy(self.samples[number])


def timed(step, steps, warmup, device):
    """Seconds that ``steps`` calls take. The device is waited for at both ends only.

    Args:
        step (Callable): Called without arguments.
        steps (int): Calls that count.
        warmup (int): Calls before them.
        device (torch.device): Whose work is waited for.
    """
    for _ in range(warmup):
        step()
    synchronize(device)
    start = time.perf_counter()
    for _ in range(steps):
        step()
    synchronize(device)
    return time.perf_counter() - start


def synchronize(device):
    """Wait for a GPU; a CPU is never behind."""
    if device.type == 'cuda':
        torch.cuda.synchronize(device)


def peak_memory(device):
    """Largest memory so far in bytes: of tensors on a GPU, of the whole process on a CPU."""
    if device.type == 'cuda':
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == 'darwin' else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def device_name(device):
    """Name of a GPU or of the CPU."""
    if device.type == 'cuda':
        return torch.cuda.get_device_name(device)
    info = Path('/proc/cpuinfo')
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(':', 1)[1].strip() for line in lines if line.startswith('model name')]
    return names[0] if names else platform.processor() or platform.machine()


def first_images(data, count):
    """The first ``count`` images of a batch: tensors and lists of samples, in any nesting.

    Args:
        data: Output of a data pre-processor; views of the same images may lie in a list or dict.
        count (int): Number of images.
    """
    if isinstance(data, torch.Tensor):
        return data[:count]
    if isinstance(data, dict):
        return {key: first_images(value, count) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        nested = data and isinstance(data[0], (torch.Tensor, dict, list, tuple))
        return [first_images(item, count) for item in data] if nested else list(data[:count])
    return data


def training_macs(model, batch, images=2):
    """Multiply-adds of a training step, for one image, without the optimiser's.

    What a method runs without gradient (a teacher, a tokeniser) has no backward pass.

    Args:
        model (BaseModel): With a ``data_preprocessor``. It is left without gradients.
        batch (dict): Collated batch.
        images (int): How many images of it are run; contrastive methods need two. Defaults to 2.

    Returns:
        tuple[float, float]: Matrix products (attention included) and convolutions, forward and
        backward.
    """
    data = first_images(model.data_preprocessor(batch, True), images)

    def both_passes():
        with torch.enable_grad():
            model.parse_losses(model(**data, mode='loss'))[0].backward()

    forward, _ = count_macs(lambda: model(**data, mode='loss'))
    total, _ = count_macs(both_passes)
    model.zero_grad(set_to_none=True)
    count = len(as_views(data['inputs'])[0])
    return forward / count, (total - forward) / count


def as_views(inputs):
    """The views in ``inputs`` as a flat list of tensors (B, C, H, W)."""
    if isinstance(inputs, torch.Tensor):
        return [inputs]
    items = inputs.values() if isinstance(inputs, dict) else inputs
    return [view for item in items for view in as_views(item)]


def view_sizes(inputs):
    """Sizes of the views in words, e.g. ``'2x224x224 + 8x96x96'``."""
    counts = {}
    for view in as_views(inputs):
        size = 'x'.join(map(str, view.shape[-2:]))
        counts[size] = counts.get(size, 0) + 1
    return ' + '.join(size if n == 1 else f'{n}x{size}' for size, n in counts.items())


def append_row(path, row):
    """Append a row to a CSV file, which gets its header with the first one.

    Args:
        path (str | Path): The file; its folder is made.
        row (dict): Column -> value; None is an empty cell.

    Raises:
        DataError: If the file has other columns or cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        header = next(csv.reader(path.open(newline=''))) if path.is_file() else None
        if header not in (None, list(row)):
            raise DataError(f'{path} has other columns ({", ".join(header)}): choose another file')
        with path.open('a', newline='') as file:
            writer = csv.DictWriter(file, list(row), lineterminator='\n')
            if header is None:
                writer.writeheader()
            writer.writerow(row)
    except OSError as error:
        raise DataError(f'cannot write {path}: {error.strerror}') from error
