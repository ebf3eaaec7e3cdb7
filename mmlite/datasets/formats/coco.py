"""COCO annotation files: what is wrong is refused, what can be repaired is repaired and counted."""

import math
from collections import Counter
from itertools import chain
from typing import NamedTuple

import numpy as np
from pycocotools import mask as coco_mask

from mmlite.errors import DataError
from mmlite.utils.names import listed

KEYS = ('id', 'image_id', 'category_id')
SAMPLE = 2000  # masks compared with their boxes
FAR = 10  # times the size of the image: where a polygon cannot be
NUMBERS = {int, float}
IDS = {int, str}
FLAGS = {None: 0, 0: 0, 1: 1, '0': 0, '1': 1}


class Fault(NamedTuple):
    """A wrong annotation: its position in the list, and a sentence with the file and the values."""

    row: int
    image_id: int | str | None  # None where it is not known
    reason: str


def judge_coco(data, file, classes=(), annotated=True, masks=False):
    """Check a decoded COCO file and repair in place what has one meaning only.

    Repaired are ids and sizes that are floats, annotation ids that the evaluator cannot use (below
    1, or strings), an ``iscrowd`` that is missing or a string, and an ``area`` that is missing or
    not a positive number (that of the mask or the box).

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
    judge = CocoJudge(data, file, masks)
    judge.check_lists(annotated)
    judge.check_items('image', data['images'], ('id', 'width', 'height', 'file_name'))
    judge.check_items('category', data['categories'], ('id', 'name'))
    check_classes([category['name'] for category in data['categories']], classes, file)
    data.setdefault('info', {})  # pycocotools 2.0.9 requires it
    return judge.check_annotations(), judge.repairs


class CocoJudge:
    """State of :func:`judge_coco`."""

    def __init__(self, data, file, masks):
        self.data, self.file, self.masks = data, file, masks
        self.repairs, self.faults = [], {}  # sentences; row -> sentence

    def refuse(self, reason):
        raise DataError(f'{self.file}: {reason}')

    def _repaired(self, count, total, what):
        if count:
            self.repairs.append(f'{self.file}: {count} of {total} {what}')

    def _fault(self, row, what):
        """Note what an annotation is or has, unless it has a fault already."""
        number = self.rows[row].get('id') if type(self.rows[row]) is dict else None
        label = f'number {row}' if number is None else number
        self.faults.setdefault(int(row), f'{self.file}: annotation {label} {what}')

    def check_lists(self, annotated):
        if not isinstance(self.data, dict):
            self.refuse('a COCO file is a JSON object')
        annotated = annotated or self.data.get('annotations') is not None
        keys = ['images', 'categories'] + ['annotations'] * annotated
        missing = [key for key in keys if not isinstance(self.data.get(key), list)]
        if missing:
            lists = ', '.join(keys)
            self.refuse(f'a COCO file has the lists {lists}; {missing[0]} is missing or not a list')

    def check_items(self, kind, items, keys):
        """Check keys and types of images or categories, and that ids and names occur once."""
        plural = {'category': 'categories'}.get(kind, f'{kind}s')
        if not items:
            self.refuse(f'it lists no {plural}')
        for index, item in enumerate(items):
            absent = [key for key in keys if not isinstance(item, dict) or key not in item]
            if absent:
                has_id = isinstance(item, dict) and 'id' in item
                label = f'id {item["id"]}' if has_id else f'number {index}'
                self.refuse(f'{kind} {label} has no {absent[0]!r}')
        for key in keys:
            values = self._integers(items, key)
            size, name = key in ('width', 'height'), key in ('name', 'file_name')
            right = {int} if size else {str} if name else IDS
            if not set(map(type, values)) <= right or (min(values) < 1 if size else '' in values):
                wrong = [type(v) not in right or v == '' or (size and v < 1) for v in values]
                index = wrong.index(True)
                must = 'an integer >= 1' if size else 'an integer or a string'
                must = 'a string that is not empty' if name else must
                self.refuse(
                    f'{kind} {items[index]["id"]} has {key} {values[index]!r}, which is not {must}'
                )
            if size:
                continue
            if len(set(map(type, values))) > 1:
                examples = sorted({type(v): v for v in values}.values(), key=str)
                self.refuse(
                    f'ids of {plural} must be all integers or all strings, not '
                    f'{examples[0]!r} and {examples[1]!r}'
                )
            value, count = Counter(values).most_common(1)[0]
            if count > 1:
                same = listed([str(item['id']) for item in items if item[key] == value], 3)
                label = f'{key} {value}' if key == 'id' else f'{key} {value!r} (ids {same})'
                self.refuse(f'{count} {plural} have the same {label}')

    def _integers(self, items, key):
        """Values of a key; floats, as table programs write them, become integers."""
        values = [item.get(key) for item in items]
        if float in set(map(type, values)):
            floats = [row for row, v in enumerate(values) if type(v) is float and v.is_integer()]
            for row in floats:
                values[row] = items[row][key] = int(values[row])
            self._repaired(len(floats), len(items), f'values of {key} were floats, now integers')
        return values

    def check_annotations(self):
        """Faults of the annotations; the others are repaired."""
        images, self.rows = self.data['images'], self.data.get('annotations') or []
        if not set(map(type, self.rows)) <= {dict}:
            odd = [row for row, item in enumerate(self.rows) if type(item) is not dict]
            self.rows = [item if type(item) is dict else {} for item in self.rows]
            for row in odd:
                self._fault(row, 'is not a JSON object')
        ids, image_ids, category_ids = map(self._ids, KEYS)
        if len(set(ids)) < len(ids):
            seen = set()
            for row, value in enumerate(ids):
                if value in seen or seen.add(value):
                    self._fault(row, 'has an id that several annotations have')
        index = {image['id']: index for index, image in enumerate(images)}
        for row in _unknown(image_ids, index):
            self._fault(row, f'is for image {image_ids[row]!r}, which the file does not list')
        known = {category['id']: label for label, category in enumerate(self.data['categories'])}
        listing = f'{len(known)} categories with ids {min(known)} to {max(known)}'
        for row in _unknown(category_ids, known):
            what = f'has category_id {category_ids[row]!r}, but the file lists {listing}'
            self._fault(row, what)
        sizes = np.array([(image['width'], image['height']) for image in images], float)
        places = np.array([index.get(value, 0) for value in image_ids], int)
        labels = np.array([known.get(value, 0) for value in category_ids], int)
        sizes, boxes = sizes[places], self._boxes()
        self._check_boxes(boxes, sizes)
        if self.masks:
            self._check_masks(sizes)
        self._repair_flags()
        good = [row for row in range(len(self.rows)) if row not in self.faults]
        if good:
            self._check_meaning(boxes, sizes, good)
            self._repair(boxes, sizes, good)
            hashed = np.column_stack([boxes, places, labels])[good] * np.random.default_rng(
                0
            ).random(6)
            twice = len(good) - len(np.unique(hashed.sum(1)))
            what = 'annotations repeat another one of the same image, category and box'
            self._repaired(twice, len(self.rows), what)
        return [Fault(row, image_ids[row], reason) for row, reason in sorted(self.faults.items())]

    def _ids(self, key):
        """Values of an id; those that are not one are faults and None."""
        values = self._integers(self.rows, key)
        if not set(map(type, values)) <= IDS:
            for row, value in enumerate(values):
                if value is None:
                    self._fault(row, f'has no {key!r}')
                elif type(value) not in IDS:
                    self._fault(row, f'has {key} {value!r}, which is not an integer')
                    values[row] = None
        return values

    def _boxes(self):
        """(N, 4) array of the boxes; those that are not four numbers are faults and NaN."""
        boxes = [item.get('bbox') for item in self.rows]
        right = set(map(type, boxes)) <= {list} and set(map(len, boxes)) <= {4}
        if not right or not set(map(type, chain.from_iterable(boxes))) <= NUMBERS:
            for row, box in enumerate(boxes):
                if type(box) is not list or len(box) != 4 or not set(map(type, box)) <= NUMBERS:
                    boxes[row] = [math.nan] * 4
                    what = f'has bbox {box!r}, which is not [x, y, width, height]'
                    self._fault(row, "has no 'bbox'" if box is None else what)
        return np.fromiter(chain.from_iterable(boxes), float).reshape(-1, 4)

    def _check_boxes(self, boxes, sizes):
        corner, extent = boxes[:, :2], boxes[:, 2:]
        with np.errstate(invalid='ignore'):
            invalid = ~np.isfinite(boxes).all(1) | (extent < 0).any(1)
            outside = ((corner >= sizes) | (corner + extent <= 0)).any(1)
        outside &= (extent >= 1).all(1)  # smaller: skipped
        for row in np.flatnonzero(invalid | outside):
            what = 'of no valid size' if invalid[row] else 'entirely outside'
            box, image = self.rows[row].get('bbox'), self.rows[row].get('image_id')
            self._fault(
                row,
                f'has a box {what}: [x, y, width, height] = {box} in image {image!r} of '
                f'{sizes[row, 0]:.0f} x {sizes[row, 1]:.0f} pixels',
            )

    def _check_masks(self, sizes):
        masks = [item.get('segmentation') for item in self.rows]
        found = list(map(mask_fault, masks, sizes.astype(int).tolist()))
        none = found.count('no segmentation')
        for row, reason in enumerate(found):
            if reason:
                more = f' ({none} of {len(masks)} objects have none)' if none else ''
                self._fault(row, f'has {reason}{more}')

    def _check_meaning(self, boxes, sizes, good):
        """Refuse boxes of corners or of fractions, which most annotations have to contradict."""
        rows, boxes, sizes = [self.rows[row] for row in good], boxes[good], sizes[good]
        if boxes.max() <= 1 and sizes.min() > 1:
            self.refuse(
                f'all boxes are within 0 to 1, such as {rows[0]["bbox"]}: they must be '
                '[x, y, width, height] in pixels'
            )
        beyond = (boxes[:, :2] + boxes[:, 2:] > sizes + 2).any(1)
        corners = ((boxes[:, 2:] > boxes[:, :2]) & (boxes[:, 2:] <= sizes + 2)).all(1)
        if beyond.mean() > 0.25 and corners.mean() > 0.99:
            first = rows[beyond.argmax()]
            self.refuse(
                f'{beyond.sum()} of {len(rows)} boxes reach out of their images, such as '
                f'{first["bbox"]} of annotation {first["id"]}, and would fit as corners: they must '
                'be [x, y, width, height]'
            )
        if not self.masks:
            return
        step = max(1, len(rows) // SAMPLE)
        rows, boxes, sizes = rows[::step], boxes[::step], sizes[::step]
        masks = [row['segmentation'] for row in rows]
        extents = np.array(list(map(mask_box, masks, sizes)))
        overlap = _iou(boxes, extents)
        if np.mean(overlap < 0.5) > 0.25:
            worst = overlap.argmin()
            self.refuse(
                f'boxes and masks differ in {np.sum(overlap < 0.5)} of {len(overlap)} annotations '
                f'looked at: annotation {rows[worst]["id"]} has the box {rows[worst]["bbox"]} and '
                f'a mask within {np.round(extents[worst], 1).tolist()} ([x, y, width, height])'
            )

    def _repair_flags(self):
        """Make ``iscrowd`` and ``ignore`` 0 or 1: mmdet and the evaluator read strings unlike."""
        for key in ('iscrowd', 'ignore'):
            values = [item.get(key, 0 if key == 'ignore' else None) for item in self.rows]
            if set(map(type, values)) <= {int} and set(values) <= {0, 1}:
                continue
            count = 0
            for row, value in enumerate(values):
                if isinstance(value, (list, dict)) or value not in FLAGS:
                    self._fault(row, f'has {key} {value!r}, which is not 0 or 1')
                elif value is None or type(value) is str:
                    self.rows[row][key] = FLAGS[value]
                    count += 1
            self._repaired(count, len(values), f'annotations had no {key} as a number, now 0 or 1')

    def _repair(self, boxes, sizes, good):
        """Repair areas and ids."""
        areas = [item.get('area') for item in self.rows]
        flat = [
            row
            for row in good
            if not (type(areas[row]) in NUMBERS and 0 < areas[row] < math.inf)
            and boxes[row, 2:].min() > 0
        ]
        for row in flat:
            mask = self.rows[row].get('segmentation') if self.masks else None
            area = coco_mask.area(as_rle(mask, sizes[row])) if mask else boxes[row, 2:].prod()
            self.rows[row]['area'] = float(area)
        what = 'annotations had no area, now that of the mask or else the box'
        self._repaired(len(flat), len(areas), what)
        ids = [item.get('id') for item in self.rows]
        wrong = [value for value in ids if type(value) is not int or value < 1]
        if wrong:
            for number, item in enumerate(self.rows, 1):
                item['id'] = number
            what = f'annotation ids were renumbered: id {wrong[0]!r} is not an integer >= 1'
            self._repaired(len(ids), len(ids), what)


def check_classes(names, classes, file):
    """Refuse ``classes`` of metainfo that are not among the ``names`` of the categories."""
    if isinstance(classes, str) or len(set(classes)) < len(classes):
        raise DataError(f'metainfo.classes must be a list of different names, not {classes!r}')
    absent = [name for name in classes if name not in names]
    if absent:
        raise DataError(
            f'{file}: class {absent[0]!r} of metainfo is not among its categories '
            f'({listed(map(repr, names), 8)})'
        )


def _unknown(ids, known):
    wrong = set(ids) - set(known)
    return [row for row, value in enumerate(ids) if value in wrong] if wrong else []


def mask_fault(mask, size):
    """Fault of a COCO segmentation, or None; ``size`` is (width, height) of the image."""
    if not mask and (mask is None or isinstance(mask, (list, dict))):
        return 'no segmentation'
    if isinstance(mask, dict):
        return _rle_fault(mask, *size)
    if not isinstance(mask, list):
        return f'the segmentation {mask!r}, which is neither polygons nor run lengths (RLE)'
    for polygon in mask:
        if not isinstance(polygon, list):
            return 'a segmentation that is a flat list, not a list of polygons [[x, y, x, y, ...]]'
        if len(polygon) < 6 or len(polygon) % 2:
            return (
                f'a polygon of {len(polygon)} numbers in its segmentation, not x, y of >= 3 points'
            )
        try:  # pycocotools crashes on points far away
            near = math.hypot(*polygon) < FAR * sum(size) * len(polygon)
        except (TypeError, OverflowError):
            near = False
        if not near:
            return 'a segmentation with a polygon that is not all finite numbers near the image'
    return None


def _rle_fault(mask, width, height):
    if mask.get('size') != [height, width]:
        return (
            f'run lengths (RLE) of size {mask.get("size")}, but its image is '
            f'{width} x {height} pixels, i.e. [{height}, {width}]'
        )
    counts = mask.get('counts')
    if isinstance(counts, str) and counts:
        counts = decode_counts(counts)
    if not isinstance(counts, list) or not set(map(type, counts)) <= {int}:
        return 'run lengths (RLE) whose counts are neither compressed ones nor a list of integers'
    if sum(counts) != width * height or min(counts) < 0:
        return f'run lengths (RLE) of {sum(counts)} pixels, but its image has {width * height}'
    return None


def decode_counts(text):
    """Run lengths of a string, or None; pycocotools hangs on those of a wrong sum.

    Characters hold five bits and whether more follow; from the fourth on, numbers are differences
    to the last but one.
    """
    code = np.frombuffer(text.encode(), np.uint8).astype(np.int64) - 48
    last = code & 32 == 0
    if code.min() < 0 or code.max() > 63 or not last[-1]:
        return None
    ends = np.flatnonzero(last) + 1
    starts = np.append(0, ends[:-1])
    bits = 5 * (np.arange(len(code)) - np.repeat(starts, ends - starts))
    runs = np.add.reduceat((code & 31) << bits, starts)
    runs -= (code[ends - 1] >> 4 & 1) << 5 * (ends - starts)  # the sign
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    return runs.tolist()


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
