"""YOLO: a text file of normalized boxes or polygons beside each image."""

from pathlib import Path

import mmengine

from mmlite.errors import DataError

from .images import read_header
from .record import CocoBuilder, Record, list_images, polygon_box

SPLITS = ('train', 'val', 'valid', 'test')


def find_yaml(root):
    """Description of a YOLO data set in a directory, a YAML file with ``names``, or None."""
    for file in [*sorted(root.glob('*.yaml')), *sorted(root.glob('*.yml'))]:
        content = mmengine.load(file)
        if isinstance(content, dict) and 'names' in content:
            return file
    return None


def read_yolo(file):
    """Read a YOLO data set by its YAML file.

    Lines are ``class x y width height`` (center and size) or ``class x y x y x y ...`` (a polygon),
    as fractions of the image. Labels of ``images/a.jpg`` are in ``labels/a.txt``; an image without
    a file has no object.

    Args:
        file (str | Path): With ``names`` and the splits, see :data:`SPLITS`.

    Raises:
        DataError: Names the file, the line and the value.
    """
    file = Path(file)
    content = mmengine.load(file)
    names = content['names']
    if isinstance(names, dict):
        if sorted(names) != list(range(len(names))):
            raise DataError(f'{file}: the keys of names must be 0 to {len(names) - 1}')
        names = [names[number] for number in range(len(names))]
    names = list(map(str, names))
    root = file.parent / (content.get('path') or '')
    record = Record('det', 'YOLO', file.parent, {}, names)
    for split in SPLITS:
        if content.get(split):
            name = 'val' if split == 'valid' else split
            record.splits[name] = _read_split(root, content[split], names, record)
    if not record.splits:
        raise DataError(f'{file} names no split: it needs train and val')
    return record


def _read_split(root, place, names, record):
    places = place if isinstance(place, list) else [place]
    images = [image for item in places for image in _images(root, item)]
    builder, missing = CocoBuilder(names), 0
    for image in images:
        header = read_header(image)
        builder.add_image(image, *header.shown)
        labels = label_file(image)
        if labels.is_file():
            _read_labels(labels, names, header.shown, builder)
        else:
            missing += 1
    if missing == len(images):
        raise DataError(
            f'none of the {len(images)} images of {place} has a label file such as '
            f'{label_file(images[0])}'
        )
    if missing:
        record.findings.append(
            f'{missing} of {len(images)} images of {place} have no label file: no objects'
        )
    return builder.split()


def _images(root, place):
    # exports of Roboflow write ../train/images beside train/
    candidates = [root / place, root / str(place).removeprefix('../')]
    for path in candidates:
        if path.is_dir():
            images = list_images(path)[0]
            if not images:
                raise DataError(f"'{path}' has no image")
            return images
        if path.is_file():
            lines = [line for line in path.read_text(encoding='utf-8').split('\n') if line.strip()]
            return [path.parent / line.strip() for line in lines]
    raise DataError(f"'{candidates[0]}' of the YOLO data set does not exist")


def label_file(image):
    """Path of the labels of an image: the last directory ``images`` becomes ``labels``."""
    parts = list(image.parts)
    for index in range(len(parts) - 2, -1, -1):
        if parts[index] == 'images':
            parts[index] = 'labels'
            break
    return Path(*parts).with_suffix('.txt')


def _read_labels(file, names, size, builder):
    width, height = size
    for number, line in enumerate(file.read_text(encoding='utf-8').splitlines(), 1):
        if not line.strip():
            continue
        where = f'{file}, line {number}'
        try:
            label, *values = map(float, line.split())
        except ValueError as error:
            raise DataError(f'{where}: {line!r} is not numbers') from error
        if label not in range(len(names)):
            raise DataError(f'{where}: class {label:g} is not one of 0 to {len(names) - 1}')
        if len(values) != 4 and (len(values) < 6 or len(values) % 2):
            raise DataError(
                f'{where}: {len(values)} numbers after the class; a box has 4, a polygon an even '
                'number >= 6'
            )
        if min(values) < -0.01 or max(values) > 1.01:
            raise DataError(f'{where}: {line!r} is not within 0 to 1')
        name = names[int(label)]
        if len(values) == 4:
            x, y, w, h = values
            box = [(x - w / 2) * width, (y - h / 2) * height, w * width, h * height]
            builder.add_object(name, box)
        else:
            scales = (width, height) * (len(values) // 2)
            points = [round(v * s, 3) for v, s in zip(values, scales, strict=True)]
            builder.add_object(name, polygon_box(points), [points])
