"""Pascal VOC: an XML file of boxes for each image."""

from pathlib import Path
from xml.etree import ElementTree

from mmlite.errors import DataError

from .record import CocoBuilder, Record, image_size, list_images, read_lines

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
    names = {path.stem: path for path in sorted((root / 'Annotations').rglob('*.xml'))}
    splits = {}
    for split in ('train', 'val', 'test', 'trainval'):
        file = root / 'ImageSets' / 'Main' / f'{split}.txt'
        if file.is_file():
            lines = filter(None, read_lines(file))
            stems = [line if line in names else line.split()[0] for line in lines]
            splits[split] = list(dict.fromkeys(stems))
    if not {'train', 'val'} <= set(splits):
        splits = {'train': splits.get('trainval') or splits.get('train') or sorted(names)}
    else:
        splits.pop('trainval', None)
    images = {path.stem: path for path in list_images(root / 'JPEGImages')[0]}
    parsed = {}
    for split, stems in splits.items():
        for stem in stems:
            if stem not in names:
                if split == 'test':
                    continue  # without annotations
                raise DataError(f'{root}: split {split} lists {stem}, which has no XML file')
            parsed[stem] = _parse(names[stem], images, root)
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
                builder.add_object(f'{names[stem]}: {name}', name, box, ignored=hard)
        if builder.data['images']:
            record.splits[split] = builder.split()
    return record


def _parse(file, images, root):
    """Image path, size and objects (class, corners, difficult) of an XML file."""
    try:
        tree = ElementTree.parse(file).getroot()
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise DataError(f'{file} is not XML: {error}') from error
    name = (tree.findtext('filename') or f'{file.stem}.jpg').strip()
    image = images.get(file.stem, root / 'JPEGImages' / name)
    size = image_size(image, file, [tree.findtext(f'size/{key}') for key in ('width', 'height')])
    objects = []
    for number, item in enumerate(tree.iter('object'), 1):
        name = (item.findtext('name') or '').strip()
        try:
            box = [float(item.findtext(f'bndbox/{key}')) for key in CORNERS]
        except (TypeError, ValueError) as error:
            raise DataError(f'{file}: object {number} has no bndbox of {CORNERS}') from error
        if not name or box[2] < box[0] or box[3] < box[1]:
            raise DataError(f'{file}: object {number} ({name}) has the corners {box}')
        hard = (item.findtext('difficult') or '').strip().lower() in ('1', 'true')
        objects.append((name, box, hard))
    return image, size, objects
