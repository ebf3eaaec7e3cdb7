"""What can be wrong with a COCO annotation file."""

import numbers
from typing import Any, NamedTuple

import numpy as np

from mmlite.errors import DataError

KEYS = ('id', 'image_id', 'category_id', 'bbox', 'area')
"""What every annotation has."""


class Fault(NamedTuple):
    """What is wrong with an annotation.

    Attributes:
        row (int): Its place in the list of annotations.
        image_id (int | str | None): Its image, None where that is not known.
        reason (str): A sentence with the file and the annotation.
    """

    row: int
    image_id: Any
    reason: str


def check_coco(data, file, classes=(), has_annotations=True):
    """Check a decoded COCO annotation file.

    Args:
        data (dict): The content.
        file (str): Its path, for the message.
        classes (Sequence[str]): Names that must be among the categories. Defaults to none.
        has_annotations (bool): Whether the key ``annotations`` must be there. Defaults to True.

    Returns:
        list[Fault]: Of the annotations, one each at most, in their order.

    Raises:
        DataError: The file is wrong as a whole: names what is missing.
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
    return _annotation_faults(data.get('annotations') or [], sizes, categories['id'], file)


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


def _annotation_faults(annotations, sizes, category_ids, file):
    """One fault a wrong annotation; a check sees only what passed the ones before it."""
    checks = (
        _incomplete,
        _repeated,
        lambda rows: _unknown_category(rows, set(category_ids)),
        lambda rows: _unknown_image(rows, sizes),
        _no_number,
        lambda rows: _wrong_boxes(rows, sizes),
    )
    rows, faults = list(enumerate(annotations)), []
    for check in checks:
        found = check(rows)
        if found:
            for row, text in found.items():
                item = annotations[row]
                image = item.get('image_id') if isinstance(item, dict) else None
                image = image if isinstance(image, (int, str)) else None
                faults.append(Fault(row, image, f'{file}: {text}'))
            rows = [(row, item) for row, item in rows if row not in found]
    return sorted(faults, key=lambda fault: fault.row)


def _incomplete(rows):
    """Annotations that lack a key, or with an id that cannot be one."""
    found = {}
    for row, item in rows:
        if not isinstance(item, dict):
            found[row] = f'annotation number {row} is {item!r}, which is no JSON object'
            continue
        lacking = [key for key in KEYS if key not in item]
        label = f'id {item["id"]}' if 'id' in item else f'number {row}'
        if lacking:
            found[row] = f'annotation {label} has no {lacking[0]!r}'
            continue
        for key in KEYS[:3]:
            if not isinstance(item[key], (int, str)):
                found[row] = f'annotation {label} has {key} {item[key]!r}, which is no number'
    return found


def _repeated(rows):
    """Annotations with the id of one before them."""
    ids = [item['id'] for _, item in rows]
    if len(set(ids)) == len(ids):
        return {}
    seen, found = set(), {}
    for row, item in rows:
        if item['id'] in seen:
            found[row] = f'several annotations have the id {item["id"]}'
        seen.add(item['id'])
    return found


def _unknown_category(rows, known):
    return {
        row: f'annotation {item["id"]} has category_id {item["category_id"]!r}, but the file lists '
        f'{_id_range(known)}'
        for row, item in rows
        if item['category_id'] not in known
    }


def _unknown_image(rows, known):
    return {
        row: f'annotation {item["id"]} is for image {item["image_id"]!r}, which the file does not '
        'list'
        for row, item in rows
        if item['image_id'] not in known
    }


def _no_number(rows):
    """Annotations whose box or area is not made of numbers."""
    found = {}
    for row, item in rows:
        if not _is_box(item['bbox']):
            text = f'has bbox {item["bbox"]!r}, which is not [x, y, width, height]'
        elif not isinstance(item['area'], numbers.Real):
            text = f'has area {item["area"]!r}, which is no number'
        else:
            continue
        found[row] = f'annotation {item["id"]} {text}'
    return found


def _wrong_boxes(rows, sizes):
    """Annotations with a box that cannot be one of their image."""
    boxes = np.asarray([item['bbox'] for _, item in rows], dtype=np.float64).reshape(-1, 4)
    extent = np.asarray([sizes[item['image_id']] for _, item in rows], np.float64).reshape(-1, 2)
    low, size = boxes[:, :2], boxes[:, 2:]
    invalid = ~np.isfinite(boxes).all(1) | (size < 0).any(1)
    real = (size >= 1).all(1)  # mmdet skips smaller ones
    outside = real & ~invalid & ((low >= extent) | (low + size <= 0)).any(1)
    found = {}
    for wrong, reason in ((invalid, 'of no valid size'), (outside, 'entirely outside')):
        for place in np.flatnonzero(wrong):
            row, item = rows[place]
            width, height = sizes[item['image_id']]
            found[row] = (
                f'annotation {item["id"]} has a box {reason}: [x, y, width, height] = '
                f'{item["bbox"]} in image {item["image_id"]!r} of {width} x {height} pixels'
            )
    return found


def _is_box(box):
    return (
        isinstance(box, (list, tuple))
        and len(box) == 4
        and all(isinstance(x, numbers.Real) for x in box)
    )


def _id_range(known):
    return f'{len(known)} categories with ids {min(known)} to {max(known)}' if known else 'none'


def _excerpt(names, count=8):
    return ', '.join(map(str, names[:count])) + (', ...' if len(names) > count else '')
