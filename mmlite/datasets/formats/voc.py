"""Pascal VOC: an XML file of boxes for each image."""

from pathlib import Path
from xml.etree import ElementTree

from mmlite.errors import DataError

from .images import read_header
from .record import CocoBuilder, Record

CORNERS = ('xmin', 'ymin', 'xmax', 'ymax')


def read_voc(root):
    """Read ``JPEGImages``, ``Annotations`` and ``ImageSets/Main/<split>.txt``.

    VOC's corners are 1-based pixels, the last one included. A data set in which a corner is 0 was
    written with 0-based edges, and is read so. Difficult objects are ignored in training.

    Args:
        root (str | Path): Directory with the three directories; without ``ImageSets`` all images
            are one split, ``train``.

    Raises:
        DataError: Names the file and the object.
    """
    root = Path(root)
    names = {path.stem: path for path in sorted((root / 'Annotations').glob('*.xml'))}
    splits = {}
    for split in ('train', 'val', 'test', 'trainval'):
        file = root / 'ImageSets' / 'Main' / f'{split}.txt'
        if file.is_file():
            splits[split] = [line.split()[0] for line in file.read_text().splitlines() if line]
    if not {'train', 'val'} <= set(splits):
        splits = {'train': splits.get('trainval') or splits.get('train') or sorted(names)}
    else:
        splits.pop('trainval', None)
    parsed = {}
    for split, stems in splits.items():
        for stem in stems:
            if stem not in names:
                if split == 'test':
                    continue  # without annotations
                raise DataError(f'{root}: split {split} lists {stem}, which has no XML file')
            parsed[stem] = _parse(names[stem], root)
    found = [item for _, _, objects in parsed.values() for item in objects]
    first = int(min((min(box) for _, box, _ in found), default=1) >= 1)
    classes = sorted({name for name, _, _ in found})
    record = Record('det', 'Pascal VOC', root, {}, classes)
    if not first:
        record.findings.append('corners are 0-based: one of them is 0')
    difficult = sum(hard for *_, hard in found)
    if difficult:
        record.findings.append(f'{difficult} difficult objects are ignored in training')
    for split, stems in splits.items():
        builder = CocoBuilder(classes)
        for stem in stems:
            if stem not in parsed:
                continue
            image, size, objects = parsed[stem]
            builder.add_image(image, *size)
            for name, (x1, y1, x2, y2), hard in objects:
                box = [x1 - first, y1 - first, x2 - x1 + first, y2 - y1 + first]
                builder.add_object(name, box, ignored=hard)
        if builder.data['images']:
            record.splits[split] = builder.split()
    return record


def _parse(file, root):
    """Image path, size and objects (class, corners, difficult) of an XML file."""
    try:
        tree = ElementTree.parse(file).getroot()
    except ElementTree.ParseError as error:
        raise DataError(f'{file} is not XML: {error}') from error
    image = root / 'JPEGImages' / (tree.findtext('filename') or f'{file.stem}.jpg')
    if not image.is_file():
        image = next(iter(sorted((root / 'JPEGImages').glob(f'{file.stem}.*'))), image)
    if not image.is_file():
        raise DataError(f'{file}: its image {image} does not exist')
    header = read_header(image)
    stated = tuple(int(float(tree.findtext(f'size/{key}') or 0)) for key in ('width', 'height'))
    if all(stated) and stated not in (header[:2], header.shown):
        raise DataError(
            f'{file}: its size is {stated[0]} x {stated[1]}, but {image} has '
            f'{header.width} x {header.height} pixels'
        )
    objects = []
    for number, item in enumerate(tree.iter('object'), 1):
        name = item.findtext('name')
        try:
            box = [float(item.findtext(f'bndbox/{key}')) for key in CORNERS]
        except (TypeError, ValueError) as error:
            raise DataError(f'{file}: object {number} has no bndbox of {CORNERS}') from error
        if not name or box[2] < box[0] or box[3] < box[1]:
            raise DataError(f'{file}: object {number} ({name}) has the corners {box}')
        objects.append((name, box, item.findtext('difficult') == '1'))
    return image, stated if all(stated) else header.shown, objects
