"""LabelMe: a JSON file of polygons beside each image."""

import json
import math
from pathlib import Path

from mmlite.errors import DataError

from .images import read_header
from .record import CocoBuilder, Record, polygon_box

POINTS = 32  # of the polygon that stands for a circle


def read_labelme(root):
    """Read all JSON files of a directory and its subdirectories; ``train`` and ``val`` are splits.

    Polygons, rectangles and circles are objects; another shape is an error.

    Raises:
        DataError: Names the file and the shape.
    """
    root = Path(root)
    folders = {name: root / name for name in ('train', 'val', 'test') if (root / name).is_dir()}
    found = {
        split: [_parse(file) for file in sorted(folder.rglob('*.json'))]
        for split, folder in (folders or {'train': root}).items()
    }
    shapes = [shape for items in found.values() for *_, shapes in items for shape in shapes]
    classes = sorted({name for name, _ in shapes})
    record = Record('det', 'LabelMe', root, {}, classes)
    for split, items in found.items():
        builder = CocoBuilder(classes)
        for image, size, shapes in items:
            builder.add_image(image, *size)
            for name, points in shapes:
                builder.add_object(name, polygon_box(points), [points])
        if items:
            record.splits[split] = builder.split()
    return record


def _parse(file):
    """Image path, its size, and shapes as (class, polygon)."""
    try:
        data = json.loads(file.read_text(encoding='utf-8'))
        image = file.parent / Path(data['imagePath'].replace('\\', '/')).name
        shapes = data['shapes']
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f'{file} is not a file of LabelMe (imagePath, shapes): {error}') from error
    if not image.is_file():
        raise DataError(f'{file}: its image {image} does not exist')
    header = read_header(image)
    stated = data.get('imageWidth'), data.get('imageHeight')
    if None not in stated and stated not in (header[:2], header.shown):
        raise DataError(
            f'{file}: its size is {stated[0]} x {stated[1]}, but {image} has '
            f'{header.width} x {header.height} pixels'
        )
    size = stated if None not in stated else header.shown
    return image, size, [_polygon(shape, number, file) for number, shape in enumerate(shapes, 1)]


def _polygon(shape, number, file):
    kind, points = shape.get('shape_type') or 'polygon', shape.get('points') or []
    name = shape.get('label')
    try:
        points = [(float(x), float(y)) for x, y in points]
    except (TypeError, ValueError) as error:
        raise DataError(f'{file}: the points of shape {number} are not pairs of numbers') from error
    if kind == 'rectangle' and len(points) == 2:
        (x1, y1), (x2, y2) = points
        points = [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]
    elif kind == 'circle' and len(points) == 2:
        (x, y), radius = points[0], math.dist(*points)
        angles = [2 * math.pi * step / POINTS for step in range(POINTS)]
        points = [(x + radius * math.cos(a), y + radius * math.sin(a)) for a in angles]
    elif kind != 'polygon' or len(points) < 3:
        raise DataError(
            f'{file}: shape {number} ({name}) is a {kind} of {len(points)} points; objects are '
            'polygons, rectangles or circles'
        )
    if not name:
        raise DataError(f'{file}: shape {number} has no label')
    return str(name), [round(value, 3) for point in points for value in point]
