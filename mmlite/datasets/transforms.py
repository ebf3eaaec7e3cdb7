"""Transforms that OpenMMLab lacks or has in a less careful form."""

import logging
import multiprocessing
import zlib

import mmcv
import numpy as np
from mmcv.transforms import LoadImageFromFile as BaseLoadImageFromFile
from mmengine import fileio
from mmengine.logging import print_log

from mmlite.errors import ArgumentError, DataError
from mmlite.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadImageFromFile(BaseLoadImageFromFile):
    """Load an image, and name the file when it is missing, unreadable or truncated.

    Required key: ``img_path``. Added keys: ``img`` (H, W, 3) in BGR order, ``img_shape`` and
    ``ori_shape`` (H, W).

    Args:
        to_float32 (bool): Convert the image to float32. Defaults to False.
        color_type (str): See :func:`mmcv.imfrombytes`. Defaults to ``'color'``.
        imdecode_backend (str): See :func:`mmcv.imfrombytes`. Defaults to ``'cv2'``.
        backend_args (dict, optional): File backend, see :func:`mmengine.fileio.get`.
        on_error (str): ``'raise'``, or ``'skip'`` for training only: the data set then draws
            another sample, each bad file is logged once, and
            :class:`~mmlite.engine.hooks.SkippedSampleHook` reports their number.
            Defaults to ``'raise'``.
        max_in_a_row (int): With ``on_error='skip'``, so many failures one after the other are an
            error after all: the data are missing as a whole. Defaults to 100.

    Raises:
        DataError: From a call, if the image cannot be read and is not skipped.
    """

    def __init__(
        self,
        to_float32=False,
        color_type='color',
        imdecode_backend='cv2',
        backend_args=None,
        on_error='raise',
        max_in_a_row=100,
    ):
        super().__init__(to_float32, color_type, imdecode_backend, backend_args=backend_args)
        if on_error not in ('raise', 'skip'):
            raise ArgumentError(f"on_error must be 'raise' or 'skip', got {on_error!r}")
        self.on_error = on_error
        self.max_in_a_row = max_in_a_row
        self._log = SkipLog() if on_error == 'skip' else None
        self._in_a_row = 0

    @property
    def skipped(self):
        """int: Images skipped so far, by all worker processes together."""
        return self._log.count if self._log else 0

    def transform(self, results):
        """Load ``results['img_path']``; returns None for a skipped image."""
        try:
            image = self._read(results['img_path'])
        except DataError as error:
            self._in_a_row += 1
            if self.on_error == 'raise' or self._in_a_row >= self.max_in_a_row:
                raise
            if self._log.add(results['img_path']):
                print_log(f'Skipped: {error}', logger='current', level=logging.WARNING)
            return None
        self._in_a_row = 0
        results['img'] = image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results

    def _read(self, path):
        try:
            content = fileio.get(path, backend_args=self.backend_args)
            reason = truncation(content)
            if reason is None:
                image = mmcv.imfrombytes(
                    content, flag=self.color_type, backend=self.imdecode_backend
                )
                reason = 'it is no image that can be decoded' if image is None else None
        except Exception as error:  # decoders raise types of their own
            reason = f'{type(error).__name__}: {str(error).strip()}'
            raise DataError(_unreadable(path, reason)) from error
        if reason:
            raise DataError(_unreadable(path, reason))
        return image.astype(np.float32) if self.to_float32 else image

    def __repr__(self):
        return f'{super().__repr__()[:-1]}, on_error={self.on_error!r})'


class SkipLog:
    """Number of skipped images and which were reported, shared by all workers of a loader.

    Args:
        capacity (int): How many different files are told apart; further ones are reported each
            time. Defaults to 4096.
    """

    def __init__(self, capacity=4096):
        # [number of skips, number of names, hashes of the names ...], guarded by its lock
        self._cells = multiprocessing.Array('q', 2 + capacity)

    @property
    def count(self):
        """int: Number of skips."""
        return self._cells[0]

    def add(self, path):
        """Count a skip of ``path``; returns whether it is the first of this file."""
        name = zlib.crc32(str(path).encode())
        with self._cells.get_lock():
            self._cells[0] += 1
            known = self._cells[1]
            if name in self._cells[2 : 2 + known]:
                return False
            if 2 + known < len(self._cells):
                self._cells[2 + known] = name
                self._cells[1] += 1
            return True

    def __deepcopy__(self, memo):
        return self  # copies of a data set go on counting together


def skipping_transforms(dataset):
    """What skips unreadable images in a data set and counts them in ``skipped``.

    Args:
        dataset: A data set or a wrapper of one or several.

    Yields:
        LoadImageFromFile | TrackPairs: Each of them once; of the former those that skip
        (``on_error='skip'``).
    """
    for name in ('dataset', 'datasets', 'pipeline', 'transforms'):
        inner = getattr(dataset, name, None)
        for item in inner if isinstance(inner, (list, tuple)) else [inner]:
            if item is not None:
                yield from skipping_transforms(item)
    if hasattr(dataset, 'skipped') and getattr(dataset, 'on_error', 'skip') == 'skip':
        yield dataset


def truncation(content):
    """Why an encoded image is incomplete, or None; OpenCV fills up such images with grey."""
    if not content:
        return 'the file is empty'
    if content[:2] == b'\xff\xd8' and content[-2:] != b'\xff\xd9':
        # data may follow the end marker, but no scan without an end marker of its own: inside a
        # scan, 0xff comes before 0x00 or a restart marker only
        if content.rfind(b'\xff\xd9') <= content.rfind(b'\xff\xda'):
            return 'the JPEG is truncated (no end-of-image marker)'
    if content[:4] == b'\x89PNG' and b'IEND' not in content[-4096:]:
        return 'the PNG is truncated (no IEND chunk)'
    return None


def _unreadable(path, reason):
    return f'image {path} cannot be read: {reason}'
