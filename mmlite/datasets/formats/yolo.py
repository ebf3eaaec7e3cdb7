"""YOLO: a text file of normalized boxes or polygons beside each image."""

from pathlib import Path

import mmengine

from mmlite.errors import DataError

from .record import CocoBuilder, Record, image_size, list_images, polygon_box, read_lines

SPLITS = ('train', 'val', 'valid', 'test')
NAMES = ('classes.txt', 'names.txt', 'labels.txt', 'obj.names')


def find_yaml(root):
    """Description of a YOLO data set in a directory, or None.

    It is a YAML file with ``names`` or, beside ``labels/``, a text file with a name a line.
    """
    for file in [*sorted(root.glob('*.yaml')), *sorted(root.glob('*.yml'))]:
        if 'names' in _read_yaml(file):
            return file
    labelled = any((root / 'labels').rglob('*.txt'))
    files = [root / name for name in NAMES if (root / name).is_file()]
    return files[0] if labelled and files else None


def _read_yaml(file):
    try:
        content = mmengine.load(file)
    except Exception as error:  # of the parser, which is not a part of mmengine's interface
        raise DataError(f'{file} is not valid YAML: {" ".join(str(error).split())}') from error
    return content if isinstance(content, dict) else {}


def _read_names(file):
    """Content of the YAML file that a directory with a list of names lacks."""
    images = file.parent / 'images'
    places = {name: f'images/{name}' for name in SPLITS if (images / name).is_dir()}
    return dict(places or {'train': 'images'}, names=list(filter(None, read_lines(file))))


def read_yolo(file):
    """Read a YOLO data set by its YAML file.

    Lines are ``class x y width height`` (center and size) or ``class x y x y x y ...`` (a polygon),
    as fractions of the image. Labels of ``images/a.jpg`` are in ``labels/a.txt``; an image without
    a file has no object.

    Args:
        file (str | Path): YAML file with ``names`` and the splits, see :data:`SPLITS`, or a text
            file with a name a line, beside ``images/``.

    Raises:
        DataError: Names the file, the line and the value.
    """
    file = Path(file)
    content = _read_names(file) if file.suffix == '.txt' else _read_yaml(file)
    names = content.get('names')
    if isinstance(names, dict):
        names = {str(number): name for number, name in names.items()}
        if set(names) != {str(number) for number in range(len(names))}:
            raise DataError(f'{file}: the keys of names must be 0 to {len(names) - 1}')
        names = [names[str(number)] for number in range(len(names))]
    if not isinstance(names, list) or not names or len(set(map(str, names))) < len(names):
        raise DataError(f'{file}: names must be a list of different names, not {names!r}')
    if content.get('nc', len(names)) != len(names):
        raise DataError(f'{file}: nc is {content["nc"]}, but there are {len(names)} names')
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
        labels = label_file(image)
        size = image_size(image, labels)
        builder.add_image(image, *size)
        if labels.is_file():
            _read_labels(labels, names, size, builder)
        else:
            missing += 1
    if missing == len(images):
        raise DataError(
            f'none of the {len(images)} images of {place} has a label file such as '
            f'{label_file(images[0])}'
        )
    used = set(map(label_file, images))
    lone = {file for folder in {file.parent for file in used} for file in folder.glob('*.txt')}
    lone = sorted(file for file in lone - used if file.name not in NAMES)
    if lone:
        record.findings.append(f'{len(lone)} label files have no image, such as {lone[0]}')
    if missing:
        record.findings.append(
            f'{missing} of {len(images)} images of {place} have no label file: no objects'
        )
    return builder.split()


def _images(root, place):
    # exports of Roboflow write ../train/images beside train/
    candidates = [root / str(place), root / str(place).removeprefix('../')]
    for path in candidates:
        if path.is_dir():
            images = list_images(path)[0]
            if not images:
                raise DataError(f"'{path}' has no image")
            return images
        if path.is_file():
            return [path.parent / line for line in filter(None, read_lines(path))]
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
    for number, line in enumerate(read_lines(file), 1):
        if not line:
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
            builder.add_object(where, name, box)
        else:
            scales = (width, height) * (len(values) // 2)
            points = [round(v * s, 3) for v, s in zip(values, scales, strict=True)]
            builder.add_object(where, name, polygon_box(points), [points])
