"""LabelMe: a JSON file of polygons beside each image."""

import math
from pathlib import Path

from mmlite.errors import DataError

from .record import CocoBuilder, Record, image_size, polygon_box, read_json

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
                where = f'{Path(image).with_suffix(".json")}: {name}'
                builder.add_object(where, name, polygon_box(points), [points])
        if items:
            record.splits[split] = builder.split()
    return record


def _parse(file):
    """Image path, its size, and shapes as (class, polygon)."""
    data = read_json(file)
    data = data if isinstance(data, dict) else {}
    name, shapes = data.get('imagePath'), data.get('shapes')
    if type(name) is not str or type(shapes) is not list or not set(map(type, shapes)) <= {dict}:
        raise DataError(f'{file} is not a file of LabelMe: imagePath is a name, shapes a list')
    image = file.parent / Path(name.replace('\\', '/')).name
    size = image_size(image, file, (data.get('imageWidth'), data.get('imageHeight')))
    polygons = [_polygon(shape, number, file) for number, shape in enumerate(shapes, 1)]
    return image, size, polygons


def _polygon(shape, number, file):
    kind, points = shape.get('shape_type') or 'polygon', shape.get('points') or []
    name = str(shape.get('label') or '').strip()
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
    return name, [round(value, 3) for point in points for value in point]
