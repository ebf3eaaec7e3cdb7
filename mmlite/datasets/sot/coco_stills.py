"""COCO objects as sequences of one frame, to train trackers on many classes."""

import json

import numpy as np
from mmengine.logging import print_log
from torch.utils.data import Dataset

from mmlite.errors import DataError
from mmlite.registry import DATASETS

from ..formats.coco import judge_coco
from .base import warn_of_faults
from .frames import ImageFrames
from .index import KeptIndex
from .sequence import Sequence
from .storage import Tree


@DATASETS.register_module()
class COCOStillsDataset(Dataset):
    """Every COCO object that is not a crowd as a :class:`Sequence` of one frame.

    The directory of images may be a zip archive, and below ``images/``. The objects are kept beside
    the indices of videos, see :mod:`~mmlite.datasets.sot.index`, until size or time of the
    annotation file changes. Boxes without area are listed, too; training rejects their crops.

    Args:
        data_root (str): Directory of COCO.
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
        self._folder = next(filter(self._tree.is_folder, (f'images/{split}', split)), None)
        if self._folder is None:
            raise DataError(f"'{data_root}' has no images in {split} or images/{split}")
        index = KeptIndex(self.data_root, f'coco-{split}')
        objects = None if rebuild_index else index.load(dict)
        if objects is None:
            path = f'annotations/instances_{split}.json'
            where = self._tree.where(path)
            print_log(f'Reading {where}; the objects are kept for the next time.', 'current')
            objects = read_objects(index.tree.read(path), where)
            index.save(objects)
        self.faults = dict(objects['faults'])
        self._files = objects['files']
        self._ids, self._images = map(np.array, (objects['ids'], objects['images']))
        self._boxes = np.array(objects['boxes'], np.float64)
        self.lengths = np.ones(len(self._ids), dtype=np.int64)
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
        frames = ImageFrames(self._tree, self._folder, [self._files[self._images[index]]])
        boxes, visible = self._boxes[index : index + 1], np.ones(1, dtype=bool)
        return Sequence(str(self._ids[index]), self.metainfo['dataset'], frames, boxes, visible)


def read_objects(content, where):
    """Read the objects of a COCO file that are not crowds, as lists of one entry for each.

    ``images`` are indices into ``files``; ``faults`` has pairs of an index and a reason.
    """
    try:
        data = json.loads(content, object_hook=_drop_outline)
    except ValueError as error:  # neither JSON nor text
        raise DataError(f'annotation file {where} is not valid JSON: {error}') from error
    if not isinstance(data, dict):
        raise DataError(f'{where} is not COCO: it must be a JSON object')
    reasons = {fault.row: fault.reason for fault in judge_coco(data, where)[0]}
    places = {image['id']: place for place, image in enumerate(data['images'])}
    objects = dict(ids=[], boxes=[], images=[], faults=[])
    for row, item in enumerate(data['annotations']):
        if row in reasons:
            objects['faults'].append((len(objects['ids']), reasons[row]))
            item = dict(id=-1, bbox=[0] * 4, image_id=None)
        elif item.get('iscrowd', 0):
            continue
        objects['ids'].append(item['id'])
        objects['boxes'].append(item['bbox'])
        objects['images'].append(places.get(item['image_id'], -1))
    if len(objects['faults']) == len(objects['ids']):
        raise DataError(f'{where} has no annotated object that is not a crowd')
    return dict(objects, files=[image['file_name'] for image in data['images']])


def _drop_outline(node):
    """Drop the outlines while parsing: they are nearly all of the file."""
    node.pop('segmentation', None)
    return node
