"""Checks of a COCO annotation file."""

import math
from typing import NamedTuple

from mmlite.errors import DataError

KEYS = ('id', 'image_id', 'category_id', 'bbox', 'area')  # of an annotation


class Fault(NamedTuple):
    """A wrong annotation: its position in the list, and a sentence with the file and the values."""

    row: int
    image_id: int | str | None  # None where it is not known
    reason: str


def check_coco(data, file, classes=(), has_annotations=True):
    """Check a decoded COCO annotation file: keys, ids, categories, and boxes inside their images.

    Args:
        data (dict): The content.
        file (str): Its path, for the message.
        classes (Sequence[str]): Required category names. Defaults to none.
        has_annotations (bool): Whether the key ``annotations`` is required. Defaults to True.

    Returns:
        list[Fault]: At most one for each annotation, in their order.
    """
    required = ['images', 'categories'] + ['annotations'] * has_annotations
    missing = [key for key in required if not isinstance(data.get(key), list)]
    if missing:
        lists = ', '.join(required)
        raise DataError(f'{file}: a COCO file has the lists {lists}; {missing[0]} is missing')
    for kind, key, keys in (
        ('image', 'images', ('id', 'width', 'height', 'file_name')),
        ('category', 'categories', ('id', 'name')),
    ):
        for row, item in enumerate(data[key]):
            if reason := _missing_key(row, item, keys, kind):
                raise DataError(f'{file}: {reason}')
    sizes = {image['id']: (image['width'], image['height']) for image in data['images']}
    names = [category['name'] for category in data['categories']]
    absent = [name for name in classes if name not in set(names)]
    if absent:
        listed = ', '.join(map(str, names[:8])) + (', ...' if len(names) > 8 else '')
        raise DataError(
            f'{file}: class {absent[0]!r} of metainfo is not among its categories ({listed})'
        )
    categories = {category['id'] for category in data['categories']}
    faults, seen = [], set()
    for row, item in enumerate(data.get('annotations') or []):
        if reason := _fault(row, item, seen, categories, sizes):
            image = item.get('image_id') if isinstance(item, dict) else None
            image = image if isinstance(image, (int, str)) else None
            faults.append(Fault(row, image, f'{file}: {reason}'))
    return faults


def _missing_key(row, item, keys, kind):
    item = item if isinstance(item, dict) else {}
    label = f'id {item["id"]}' if 'id' in item else f'number {row}'
    return next((f'{kind} {label} has no {key!r}' for key in keys if key not in item), None)


def _fault(row, item, seen, categories, sizes):
    """Reason why an annotation is wrong, None if it is right; ``seen`` are the ids before it."""
    if not isinstance(item, dict):
        return f'annotation number {row} is {item!r}, which is not a JSON object'
    if reason := _missing_key(row, item, KEYS, 'annotation'):
        return reason
    label = item['id']
    for key in KEYS[:3]:
        if not isinstance(item[key], (int, str)):
            return f'annotation id {label} has {key} {item[key]!r}, which is not a number'
    if label in seen:
        return f'several annotations have the id {label}'
    seen.add(label)
    image, category, box, area = (item[key] for key in KEYS[1:])
    if category not in categories:
        known = f'{len(categories)} categories'
        if categories:
            known += f' with ids {min(categories)} to {max(categories)}'
        return f'annotation {label} has category_id {category!r}, but the file lists {known}'
    if image not in sizes:
        return f'annotation {label} is for image {image!r}, which the file does not list'
    if not isinstance(box, (list, tuple)) or [isinstance(x, (int, float)) for x in box] != [1] * 4:
        return f'annotation {label} has bbox {box!r}, which is not [x, y, width, height]'
    if not isinstance(area, (int, float)):
        return f'annotation {label} has area {area!r}, which is not a number'
    (x, y, w, h), (width, height) = box, sizes[image]
    if w < 0 or h < 0 or not all(map(math.isfinite, box)):
        wrong = 'of no valid size'
    elif w >= 1 and h >= 1 and (x >= width or y >= height or x + w <= 0 or y + h <= 0):
        wrong = 'entirely outside'  # mmdet skips smaller boxes
    else:
        return None
    return (
        f'annotation {label} has a box {wrong}: [x, y, width, height] = {box} in image {image!r} '
        f'of {width} x {height} pixels'
    )
