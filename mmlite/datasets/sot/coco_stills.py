"""COCO objects as sequences of one frame, to train trackers on many classes."""

import json
import logging
import os

import numpy as np
from mmengine.logging import print_log
from torch.utils.data import Dataset

from mmlite.errors import DataError, OutputError
from mmlite.registry import DATASETS
from mmlite.utils import atomic_write

from ..coco_faults import check_coco
from .base import warn_of_faults
from .frames import ImageFrames
from .index import index_file
from .sequence import Sequence
from .storage import Tree

VERSION = 2
"""To be increased when indices of earlier versions become invalid."""


@DATASETS.register_module()
class COCOStillsDataset(Dataset):
    """Every COCO object that is not a crowd as a :class:`Sequence` of one frame.

    Layout; the directory of images may also be a zip archive::

        data_root/
            annotations/instances_train2017.json
            train2017/000000000009.jpg, ...          or images/train2017/...

    The objects are kept as arrays beside the index files, see :mod:`~mmlite.datasets.sot.index`,
    until size or time of the annotation file changes: 50 MB for train2017, shared by forked
    workers. Boxes without area are listed, too; training rejects their crops.

    Args:
        data_root (str): See above.
        split (str): Directory of the images and suffix of the annotation file's name. Defaults to
            ``'train2017'``.
        rebuild_index (bool): Read the annotation file in any case. Defaults to False.

    Attributes:
        lengths (ndarray): int64 (S,), all 1.
        faults (dict[int, str]): Index -> problem, of objects with an invalid annotation, see
            :class:`~mmlite.datasets.coco.CocoDataset`; requesting one raises DataError.
        metainfo (dict): ``dataset='coco'`` and ``protocol='stills'``: not for evaluation.
    """

    def __init__(self, data_root, split='train2017', rebuild_index=False):
        self.data_root, self.split = str(data_root), split
        self.metainfo = {'dataset': 'coco', 'protocol': 'stills'}
        layout = f'annotations/instances_{split}.json and the images in {split} or images/{split}'
        self._tree = Tree(data_root, layout)
        folders = (f'images/{split}', split)
        self._folder = next(filter(self._tree.is_folder, folders), None)
        if self._folder is None:
            raise DataError(f"'{data_root}' has no images in {split} or images/{split}")
        arrays = _load_objects(self._tree.root, split, rebuild_index)
        self._ids, self._boxes = arrays['ids'], arrays['boxes']
        self._images, self._files = arrays['images'], arrays['files']
        self.lengths = np.ones(len(self._ids), dtype=np.int64)
        self.faults = dict(zip(arrays['faulty'].tolist(), arrays['reasons'].tolist(), strict=True))
        warn_of_faults(self.faults, f'{len(self)} objects of coco ({split})')

    @property
    def names(self):
        return [str(number) for number in self._ids]

    def __len__(self):
        return len(self._ids)

    def __getitem__(self, index):
        index = range(len(self))[index]  # IndexError, and negative ones, as for a list
        if index in self.faults:
            raise DataError(self.faults[index])
        file = str(self._files[self._images[index]])
        return Sequence(
            name=str(self._ids[index]),
            dataset=self.metainfo['dataset'],
            frames=ImageFrames(self._tree, self._folder, [file]),
            boxes=self._boxes[index : index + 1],
            visible=np.ones(1, dtype=bool),
        )


def read_objects(path):
    """Read the objects of a COCO annotation file that are not crowds.

    Returns:
        dict[str, ndarray]: ``ids`` (S,) of the annotations in file order, ``boxes`` float64 (S, 4),
        ``x, y, w, h`` in pixels, ``images`` int32 (S,) as indices into ``files`` (F,). Invalid
        annotations are -1 and NaN there; ``faulty`` (W,) are their indices, ``reasons`` (W,) why.
    """
    try:
        with open(path, encoding='utf-8') as file:
            data = json.load(file, object_hook=_drop_outline)
    except OSError as error:
        raise DataError(f'annotation file {path} cannot be read: {error.strerror}') from error
    except ValueError as error:  # neither JSON nor text
        raise DataError(f'annotation file {path} is not valid JSON: {error}') from error
    if not isinstance(data, dict):
        raise DataError(f'{path} is not COCO: it must be a JSON object')
    faults = {fault.row: fault.reason for fault in check_coco(data, path)}
    rows = [
        (item, faults.get(row))
        for row, item in enumerate(data['annotations'])
        if row in faults or not item.get('iscrowd', 0)
    ]
    if all(fault for _, fault in rows):
        raise DataError(f'{path} has no annotated object that is not a crowd')
    places = {image['id']: place for place, image in enumerate(data['images'])}
    boxes = [[np.nan] * 4 if fault else item['bbox'] for item, fault in rows]
    images = [-1 if fault else places[item['image_id']] for item, fault in rows]
    return dict(
        ids=np.array([-1 if fault else item['id'] for item, fault in rows]),
        boxes=np.array(boxes, np.float64),
        images=np.array(images, np.int32),
        files=np.array([image['file_name'] for image in data['images']]),
        faulty=np.array([place for place, (_, fault) in enumerate(rows) if fault], np.int64),
        reasons=np.array([fault for _, fault in rows if fault], dtype=str),
    )


def _drop_outline(node):
    """Drop the outlines while parsing: they are nearly all of the file."""
    node.pop('segmentation', None)
    return node


def _load_objects(root, split, rebuild):
    """Result of :func:`read_objects`, kept or from the annotation file."""
    path = os.path.join(root, 'annotations', f'instances_{split}.json')
    file = index_file(root, f'coco-{split}')
    file = file and file.with_suffix('.npz')
    try:
        stat = os.stat(path)
    except OSError as error:
        raise DataError(f'annotation file {path} cannot be read: {error.strerror}') from error
    stamp = np.array([VERSION, stat.st_size, stat.st_mtime_ns])
    arrays = None if rebuild or file is None else _load(file, stamp)
    if arrays is None:
        print_log(f'Reading {path}; the objects are kept for the next time.', 'current')
        arrays = read_objects(path)
        if file is not None:
            try:
                with atomic_write(file) as out:
                    np.savez(out, stamp=stamp, **arrays)
            except OutputError as error:
                print_log(f'The index is not kept: {error}', 'current', logging.WARNING)
    return arrays


def _load(file, stamp):
    """Kept arrays that are still valid, else None."""
    try:
        with np.load(file, allow_pickle=False) as kept:
            return dict(kept) if np.array_equal(kept['stamp'], stamp) else None
    except FileNotFoundError:
        return None
    except Exception as error:  # damaged archives raise errors of many types
        print_log(f'{file} is not an index ({error!r}): rebuilt', 'current', logging.WARNING)
        return None
