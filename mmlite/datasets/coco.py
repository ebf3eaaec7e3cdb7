"""COCO annotations that contradict themselves are refused, not trained on."""

import functools
import json
from collections import Counter

import numpy as np
from mmdet.datasets import CocoDataset as BaseCocoDataset
from mmdet.datasets.api_wrappers import COCO

from mmlite.errors import DataError
from mmlite.registry import DATASETS


@DATASETS.register_module()
class CocoDataset(BaseCocoDataset):
    """mmdet's ``CocoDataset`` that checks the annotation file while loading it.

    Raises:
        DataError: While loading, if the file is no JSON of the COCO form, lacks a class of
            ``metainfo``, or an annotation has an unknown category or image, a box that is not
            finite, of negative size or entirely outside its image. Degenerate boxes (below one
            pixel) and crowds are fine; mmdet skips or ignores them.
    """

    def load_data_list(self):
        """Load and check ``ann_file``; see mmdet for the form of the result."""
        self.COCOAPI = functools.partial(
            CheckedCOCO, classes=self.metainfo['classes'], has_annotations=not self.test_mode
        )
        return super().load_data_list()


class CheckedCOCO(COCO):
    """mmdet's COCO reader that checks the file before it builds the index.

    Args:
        annotation_file (str): JSON file of the COCO form.
        classes (Sequence[str]): Names that must be among its categories. Defaults to none.
        has_annotations (bool): Whether ``annotations`` must be there, which a test set lacks.
            Defaults to True.

    Raises:
        DataError: See :class:`CocoDataset`.
    """

    def __init__(self, annotation_file, classes=(), has_annotations=True):
        self._file = annotation_file
        self._classes = classes
        self._has_annotations = has_annotations
        try:
            super().__init__(annotation_file)
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            message = f'annotation file {annotation_file} is no valid JSON: {error}'
            raise DataError(message) from error
        except AssertionError as error:  # pycocotools' check of the top level
            raise DataError(f'{annotation_file}: a COCO file is a JSON object') from error

    def createIndex(self):  # noqa: N802 - pycocotools' name
        """Check ``self.dataset``, then index it."""
        check_coco(self.dataset, self._file, self._classes, self._has_annotations)
        super().createIndex()


def check_coco(data, file, classes=(), has_annotations=True):
    """Check a decoded COCO annotation file.

    Args:
        data (dict): The content.
        file (str): Its path, for the message.
        classes (Sequence[str]): Names that must be among the categories. Defaults to none.
        has_annotations (bool): Whether the key ``annotations`` must be there. Defaults to True.

    Raises:
        DataError: Names the file, the annotation and what is wrong with it.
    """
    needed = ['images', 'categories'] + ['annotations'] * has_annotations
    missing = [key for key in needed if not isinstance(data.get(key), list)]
    if missing:
        wanted = ', '.join(needed)
        raise DataError(f'{file}: a COCO file has the lists {wanted}; {missing[0]} is missing')
    sizes = _image_sizes(data['images'], file)
    categories = _columns(data['categories'], ('id', 'name'), 'category', file)
    listed = set(categories['name'])
    absent = [name for name in classes if name not in listed]
    if absent:
        raise DataError(
            f'{file}: class {absent[0]!r} of metainfo is not among its categories '
            f'({_excerpt(categories["name"])})'
        )
    annotations = data.get('annotations') or []
    if annotations:
        _check_annotations(annotations, sizes, categories['id'], file)


def _image_sizes(images, file):
    """Image id -> (width, height)."""
    columns = _columns(images, ('id', 'width', 'height', 'file_name'), 'image', file)
    sizes = zip(columns['width'], columns['height'], strict=True)
    return dict(zip(columns['id'], sizes, strict=True))


def _columns(items, keys, kind, file):
    """The values of ``keys`` in a list of dicts, as one list a key."""
    columns = {}
    for key in keys:
        try:
            columns[key] = [item[key] for item in items]
        except (KeyError, TypeError):
            index, item = next(
                (i, x) for i, x in enumerate(items) if not isinstance(x, dict) or key not in x
            )
            has_id = isinstance(item, dict) and 'id' in item
            label = f'id {item["id"]}' if has_id else f'number {index}'
            raise DataError(f'{file}: {kind} {label} has no {key!r}') from None
    return columns


def _check_annotations(annotations, sizes, category_ids, file):
    keys = ('id', 'image_id', 'category_id', 'bbox', 'area')
    columns = _columns(annotations, keys, 'annotation', file)
    if len(set(columns['id'])) < len(annotations):
        twice = Counter(columns['id']).most_common(1)[0][0]
        raise DataError(f'{file}: several annotations have the id {twice}')
    known = set(category_ids)
    for row in _unknown(columns['category_id'], known):
        raise DataError(
            f'{file}: annotation {columns["id"][row]} has category_id '
            f'{columns["category_id"][row]!r}, but the file lists {_id_range(known)}'
        )
    for row in _unknown(columns['image_id'], sizes):
        raise DataError(
            f'{file}: annotation {columns["id"][row]} is for image '
            f'{columns["image_id"][row]!r}, which the file does not list'
        )
    _check_boxes(columns, sizes, file)


def _check_boxes(columns, sizes, file):
    try:
        boxes = np.asarray(columns['bbox'], dtype=np.float64).reshape(-1, 4)
    except (TypeError, ValueError):
        boxes = None
    if boxes is None or len(boxes) != len(columns['bbox']):
        row = next(i for i, box in enumerate(columns['bbox']) if not _is_box(box))
        raise DataError(
            f'{file}: annotation {columns["id"][row]} has bbox {columns["bbox"][row]!r}, which is '
            'not [x, y, width, height]'
        )
    extent = np.asarray([sizes[i] for i in columns['image_id']], dtype=np.float64)
    low, size = boxes[:, :2], boxes[:, 2:]
    invalid = ~np.isfinite(boxes).all(1) | (size < 0).any(1)
    real = (size >= 1).all(1)  # mmdet skips smaller ones
    outside = real & ((low >= extent) | (low + size <= 0)).any(1)
    for wrong, reason in ((invalid, 'of no valid size'), (outside, 'entirely outside')):
        if wrong.any():
            row = int(wrong.argmax())
            width, height = sizes[columns['image_id'][row]]
            raise DataError(
                f'{file}: annotation {columns["id"][row]} has a box {reason}: '
                f'[x, y, width, height] = {columns["bbox"][row]} in image '
                f'{columns["image_id"][row]!r} of {width} x {height} pixels'
            )


def _unknown(ids, known):
    """Rows of ``ids`` that are not in ``known``."""
    if set(ids) <= set(known):
        return []
    return [row for row, item in enumerate(ids) if item not in known]


def _is_box(box):
    return (
        isinstance(box, (list, tuple))
        and len(box) == 4
        and all(isinstance(x, (int, float)) for x in box)
    )


def _id_range(known):
    return f'{len(known)} categories with ids {min(known)} to {max(known)}' if known else 'none'


def _excerpt(names, count=8):
    return ', '.join(map(str, names[:count])) + (', ...' if len(names) > count else '')
