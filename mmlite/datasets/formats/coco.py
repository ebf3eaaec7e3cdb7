"""COCO annotation files: what is wrong is refused, what can be repaired is repaired and counted."""

import math
from collections import Counter
from itertools import chain
from typing import NamedTuple

import numpy as np
from pycocotools import mask as coco_mask

from mmlite.errors import DataError
from mmlite.utils.names import listed

KEYS = ('id', 'image_id', 'category_id', 'bbox')  # of an annotation
SAMPLE = 2000  # masks compared with their boxes
NUMBERS = {int, float}


class Fault(NamedTuple):
    """A wrong annotation: its position in the list, and a sentence with the file and the values."""

    row: int
    image_id: int | str | None  # None where it is not known
    reason: str


def judge_coco(data, file, classes=(), annotated=True, masks=False):
    """Check a decoded COCO file and repair in place what has one meaning only.

    Repaired are ids that are floats, annotation ids that the evaluator cannot use (below 1, or
    strings), a missing ``iscrowd`` (0), and a missing or non-positive ``area`` (that of the mask or
    the box).

    Args:
        data (dict): The content.
        file (str): Its path, for the messages.
        classes (Sequence[str]): Required category names. Defaults to none.
        annotated (bool): Whether the key ``annotations`` is required. Defaults to True.
        masks (bool): Whether the masks are used, so that every object needs one. Defaults to False.

    Returns:
        tuple[list[Fault], list[str]]: At most one fault for each annotation, in their order, and a
        sentence for each kind of repair.

    Raises:
        DataError: The file as a whole is wrong: keys, images, categories, or the meaning of boxes.
    """
    return CocoJudge(data, file, masks).judge(classes, annotated)


class CocoJudge:
    """State of :func:`judge_coco`."""

    def __init__(self, data, file, masks):
        self.data, self.file, self.masks = data, file, masks
        self.repairs = []

    def judge(self, classes, annotated):
        self._check_lists(annotated)
        self.data.setdefault('info', {})  # pycocotools 2.0.9 requires it
        images, categories = self.data['images'], self.data['categories']
        self._check_keys(images, ('id', 'width', 'height', 'file_name'), 'image')
        self._check_keys(categories, ('id', 'name'), 'category')
        self._check_sizes(images)
        for items, kind, keys in (
            (images, 'image', ('id', 'file_name')),
            (categories, 'category', ('id', 'name')),
        ):
            self._repair_ids(items, ('id',), kind)
            for key in keys:
                self._check_unique(items, kind, key)
        self._check_classes([category['name'] for category in categories], classes)
        rows = self.data.get('annotations') or []
        return self._check_annotations(rows, images, categories), self.repairs

    def refuse(self, reason):
        raise DataError(f'{self.file}: {reason}')

    def _repaired(self, count, total, what):
        if count:
            self.repairs.append(f'{self.file}: {count} of {total} {what}')

    def _check_lists(self, annotated):
        if not isinstance(self.data, dict):
            self.refuse('a COCO file is a JSON object')
        required = ['images', 'categories'] + ['annotations'] * annotated
        missing = [key for key in required if not isinstance(self.data.get(key), list)]
        if missing:
            lists = ', '.join(required)
            self.refuse(f'a COCO file has the lists {lists}; {missing[0]} is missing')

    def _check_keys(self, items, keys, kind):
        for index, item in enumerate(items):
            for key in keys:
                if not isinstance(item, dict) or key not in item:
                    has_id = isinstance(item, dict) and 'id' in item
                    label = f'id {item["id"]}' if has_id else f'number {index}'
                    self.refuse(f'{kind} {label} has no {key!r}')

    def _check_sizes(self, images):
        for image in images:
            for key in ('width', 'height'):
                value = image[key]
                if type(value) is float and value.is_integer():
                    value = image[key] = int(value)
                if type(value) is not int or value < 1:
                    self.refuse(
                        f'image {image["id"]} has {key} {value!r}, which is not an integer >= 1'
                    )

    def _repair_ids(self, items, keys, kind):
        """Turn ids that are floats, as table programs write them, into integers."""
        count = 0
        for key in keys:
            if any(type(item.get(key)) is float for item in items):
                for item in items:
                    value = item.get(key)
                    if type(value) is float and value.is_integer():
                        item[key] = int(value)
                        count += 1
        self._repaired(count, len(items) * len(keys), f'{kind} ids were floats, now integers')

    def _check_unique(self, items, kind, key):
        value, count = (
            Counter(str(item[key]) for item in items).most_common(1)[0] if items else ('', 0)
        )
        if count > 1:
            others = [str(item['id']) for item in items if str(item[key]) == value]
            label = (
                f'{key} {value}' if key == 'id' else f'{key} {value!r} (ids {listed(others, 3)})'
            )
            plural = {'category': 'categories'}.get(kind, f'{kind}s')
            self.refuse(f'{count} {plural} have the same {label}')

    def _check_classes(self, names, classes):
        absent = [name for name in classes if name not in set(names)]
        if absent:
            self.refuse(
                f'class {absent[0]!r} of metainfo is not among its categories '
                f'({listed(map(str, names), 8)})'
            )

    def _check_annotations(self, rows, images, categories):
        faults = {}  # row -> reason

        def add(wrong, reason):
            for row in np.flatnonzero(wrong):
                if row not in faults:
                    faults[int(row)] = reason(int(row))

        odd = [not isinstance(row, dict) for row in rows]
        add(odd, lambda row: f'annotation number {row} is {rows[row]!r}, not a JSON object')
        sound = [row if isinstance(row, dict) else {} for row in rows] if any(odd) else rows
        self._repair_ids(sound, KEYS[:3], 'annotation')
        columns = {key: [item.get(key) for item in sound] for key in KEYS}
        for key, column in columns.items():
            kinds = set(map(type, column))
            if type(None) in kinds:
                add(
                    [value is None for value in column],
                    lambda row, key=key: f'annotation {_label(sound[row], row)} has no {key!r}',
                )
            if key != 'bbox' and not kinds <= {int, str}:
                add(
                    [type(value) not in (int, str) for value in column],
                    lambda row, key=key: (
                        f'annotation id {sound[row].get("id")} has {key} {sound[row][key]!r}, '
                        'which is not an integer'
                    ),
                )
        image_index = {image['id']: index for index, image in enumerate(images)}
        known = {category['id'] for category in categories}
        self._check_references(add, sound, columns, image_index, known)
        boxes = self._boxes(add, columns)
        places = np.array([image_index.get(_hashable(i), 0) for i in columns['image_id']], int)
        sizes = np.array([(i['width'], i['height']) for i in images], float).reshape(-1, 2)
        sizes = sizes[places] if len(sizes) else np.ones((len(rows), 2))
        self._check_boxes(add, sound, boxes, sizes)
        if self.masks:
            self._check_masks(add, sound, sizes, faults)
        good = [row for row in range(len(rows)) if row not in faults]
        self._check_meaning(sound, boxes, sizes, good)
        self._repair(sound, boxes, sizes, good)
        return [
            Fault(row, _hashable(sound[row].get('image_id')), f'{self.file}: {faults[row]}')
            for row in sorted(faults)
        ]

    def _check_references(self, add, rows, columns, images, categories):
        ids = columns['id']
        if len(set(map(str, ids))) < len(ids):
            seen = set()
            repeated = [str(value) in seen or seen.add(str(value)) for value in ids]
            add(repeated, lambda row: f'several annotations have the id {ids[row]}')
        listing = f'{len(categories)} categories'
        if categories and len(set(map(type, categories))) == 1:
            listing += f' with ids {min(categories)} to {max(categories)}'
        if not categories.issuperset(map(_hashable, columns['category_id'])):
            add(
                [_hashable(value) not in categories for value in columns['category_id']],
                lambda row: (
                    f'annotation {rows[row].get("id")} has category_id '
                    f'{rows[row].get("category_id")!r}, but the file lists {listing}'
                ),
            )
        if not images.keys() >= set(map(_hashable, columns['image_id'])):
            add(
                [_hashable(value) not in images for value in columns['image_id']],
                lambda row: (
                    f'annotation {rows[row].get("id")} is for image '
                    f'{rows[row].get("image_id")!r}, which the file does not list'
                ),
            )

    def _boxes(self, add, columns):
        """(N, 4) array of the boxes; those that are no four numbers are faults and NaN."""
        boxes = columns['bbox']
        four = all(type(box) is list and len(box) == 4 for box in boxes)
        if not four or not set(map(type, chain.from_iterable(boxes))) <= NUMBERS:
            wrong = [
                not isinstance(box, (list, tuple))
                or len(box) != 4
                or not {type(value) for value in box} <= NUMBERS
                for box in boxes
            ]
            ids = columns['id']
            add(
                wrong,
                lambda row: (
                    f'annotation {ids[row]} has bbox {boxes[row]!r}, which is not '
                    '[x, y, width, height]'
                ),
            )
            boxes = [[math.nan] * 4 if bad else box for bad, box in zip(wrong, boxes, strict=True)]
        return np.array(boxes, float).reshape(-1, 4)

    def _check_boxes(self, add, rows, boxes, sizes):
        def reason(wrong):
            return lambda row: (
                f'annotation {rows[row].get("id")} has a box {wrong}: [x, y, width, height] = '
                f'{rows[row].get("bbox")} in image {rows[row].get("image_id")!r} of '
                f'{sizes[row, 0]:.0f} x {sizes[row, 1]:.0f} pixels'
            )

        corner, extent = boxes[:, :2], boxes[:, 2:]
        with np.errstate(invalid='ignore'):
            add(~np.isfinite(boxes).all(1) | (extent < 0).any(1), reason('of no valid size'))
            outside = ((corner >= sizes) | (corner + extent <= 0)).any(1)
            add((extent >= 1).all(1) & outside, reason('entirely outside'))  # smaller: skipped

    def _check_masks(self, add, rows, sizes, faults):
        def reason(row):
            found = mask_fault(rows[row].get('segmentation'), sizes[row])
            return f'annotation {rows[row].get("id")} has {found}'

        wrong = np.zeros(len(rows), bool)
        for row, (item, size) in enumerate(zip(rows, sizes, strict=True)):
            wrong[row] = mask_fault(item.get('segmentation'), size) is not None
        none = sum(not rows[row].get('segmentation') for row in np.flatnonzero(wrong))
        more = f' ({none} of {len(rows)} objects have none)' if none else ''
        add(wrong, lambda row: reason(row) + more)

    def _check_meaning(self, rows, boxes, sizes, good):
        """Refuse boxes of corners or of fractions, which most annotations have to contradict."""
        boxes, sizes = boxes[good], sizes[good]
        if not len(good):
            return
        if boxes.max() <= 1 and sizes.min() > 1:
            self.refuse(
                f'all boxes are within 0 to 1, such as {rows[good[0]]["bbox"]}: they must be '
                '[x, y, width, height] in pixels'
            )
        beyond = (boxes[:, :2] + boxes[:, 2:] > sizes + 2).any(1)
        corners = ((boxes[:, 2:] > boxes[:, :2]) & (boxes[:, 2:] <= sizes + 2)).all(1)
        if beyond.mean() > 0.25 and corners.mean() > 0.99:
            first = rows[good[int(beyond.argmax())]]
            self.refuse(
                f'{beyond.sum()} of {len(good)} boxes reach out of their images, such as '
                f'{first["bbox"]} of annotation {first["id"]}, and would fit as corners: they must '
                'be [x, y, width, height]'
            )
        if not self.masks:
            return
        step = max(1, len(good) // SAMPLE)
        extents = np.array(
            [
                mask_box(rows[row]['segmentation'], size)
                for row, size in zip(good[::step], sizes[::step], strict=True)
            ]
        )
        overlap = _iou(boxes[::step], extents)
        if np.mean(overlap < 0.5) > 0.25:
            worst = int(overlap.argmin())
            first = rows[good[::step][worst]]
            self.refuse(
                f'boxes and masks differ in {np.sum(overlap < 0.5)} of {len(overlap)} annotations '
                f'looked at: annotation {first["id"]} has the box {first["bbox"]} and a mask '
                f'within {np.round(extents[worst], 1).tolist()} ([x, y, width, height])'
            )

    def _repair(self, rows, boxes, sizes, good):
        crowd = [row for row in good if 'iscrowd' not in rows[row]]
        for row in crowd:
            rows[row]['iscrowd'] = 0
        self._repaired(len(crowd), len(rows), 'annotations had no iscrowd, now 0')
        areas = [rows[row].get('area') for row in good]
        flat = [
            row
            for row, area in zip(good, areas, strict=True)
            if type(area) not in NUMBERS or not area > 0
        ]
        flat = [row for row in flat if boxes[row, 2:].min() > 0]
        for row in flat:
            mask = rows[row].get('segmentation') if self.masks else None
            area = coco_mask.area(as_rle(mask, sizes[row])) if mask else boxes[row, 2:].prod()
            rows[row]['area'] = float(area)
        self._repaired(
            len(flat), len(rows), 'annotations had no area, now that of the mask or else the box'
        )
        ids = [row.get('id') for row in rows]
        if ids and (set(map(type, ids)) != {int} or min(ids) < 1):
            least = min((value for value in ids if type(value) is int), default=ids[0])
            for number, row in enumerate(rows, 1):
                row['id'] = number
            self._repaired(
                len(rows), len(rows), f'annotation ids were renumbered: id {least!r} is not >= 1'
            )


def mask_fault(mask, size):
    """Fault of a COCO segmentation, or None; ``size`` is (width, height) of the image."""
    if mask is None or mask == [] or mask == {}:
        return 'no segmentation'
    if isinstance(mask, dict):
        return _rle_fault(mask, size)
    if not isinstance(mask, list):
        return f'the segmentation {mask!r}, which is neither polygons nor run lengths (RLE)'
    for polygon in mask:
        if not isinstance(polygon, list):
            return 'a segmentation that is a flat list, not a list of polygons [[x, y, x, y, ...]]'
        if len(polygon) < 6 or len(polygon) % 2:
            return (
                f'a polygon of {len(polygon)} numbers in its segmentation, not x, y of >= 3 points'
            )
        try:
            finite = math.isfinite(sum(polygon))
        except TypeError:
            finite = False
        if not finite:
            return 'a segmentation with a polygon that is not all finite numbers'
    return None


def _rle_fault(mask, size):
    width, height = map(int, size)
    if mask.get('size') != [height, width]:
        return (
            f'run lengths (RLE) of size {mask.get("size")}, but its image is '
            f'{width} x {height} pixels, i.e. [{height}, {width}]'
        )
    counts = mask.get('counts')
    if isinstance(counts, (str, bytes)) and counts:
        return None
    if not isinstance(counts, list) or not set(map(type, counts)) <= {int}:
        return 'run lengths (RLE) whose counts are neither a string nor a list of integers'
    if sum(counts) != width * height or min(counts) < 0:
        return f'run lengths (RLE) of {sum(counts)} pixels, but its image has {width * height}'
    return None


def as_rle(mask, size):
    """Compressed run lengths of polygons or run lengths; ``size`` is (width, height)."""
    width, height = map(int, size)
    if isinstance(mask, list):
        return coco_mask.merge(coco_mask.frPyObjects(mask, height, width))
    if isinstance(mask['counts'], list):
        return coco_mask.frPyObjects(mask, height, width)
    return mask


def mask_box(mask, size):
    """[x, y, width, height] of polygons or run lengths."""
    if isinstance(mask, list):
        points = np.concatenate([np.reshape(polygon, (-1, 2)) for polygon in mask])
        return [*points.min(0), *np.ptp(points, 0)]
    return coco_mask.toBbox(as_rle(mask, size)).tolist()


def _iou(boxes, others):
    least = np.maximum(boxes[:, :2], others[:, :2])
    most = np.minimum(boxes[:, :2] + boxes[:, 2:], others[:, :2] + others[:, 2:])
    inner = (most - least).clip(0).prod(1)
    union = boxes[:, 2:].prod(1) + others[:, 2:].prod(1) - inner
    return inner / union.clip(1e-9)


def _label(item, row):
    return f'id {item["id"]}' if item.get('id') is not None else f'number {row}'


def _hashable(value):
    return value if isinstance(value, (int, str)) else None
