"""Recognition of the format of a data set."""

import os
from pathlib import Path

from mmlite.errors import DataError
from mmlite.utils import IMAGE_SUFFIXES

from .coco import judge_coco
from .labelme import read_labelme
from .record import Record, Split, is_hidden, list_images, read_json, read_lines
from .voc import read_voc
from .yolo import NAMES, find_yaml, read_yolo

TRAIN, VAL = ('train', 'training', 'train2017'), ('val', 'valid', 'validation', 'val2017')
TEST = ('test', 'testing', 'test2017')
MAPS = ('annotations', 'labels', 'masks', 'ann_dir', 'gtFine', 'SegmentationClass')
IMAGES = ('images', 'img_dir', 'leftImg8bit', 'JPEGImages')


def read_dataset(path, strict=True):
    """Read a data set of any known format.

    Known are COCO, YOLO, Pascal VOC and LabelMe (boxes and masks), label maps in the layout of
    ADE20K, class folders, videos with boxes, and directories of images.

    Args:
        path (str | Path): Directory, a COCO file or the YAML file of YOLO.
        strict (bool): Refuse a data set with ``problems``. Defaults to True.

    Returns:
        Record: What it holds, checked and repaired.

    Raises:
        DataError: The format is not recognized, or the data contradict themselves.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"'{path}' does not exist")
    record = _read_file(path) if path.is_file() else None
    for find in () if record else FINDERS:
        record = record or find(path)
    if record is None:
        raise DataError(
            f"'{path}' is of no known format: COCO (.json), YOLO (.yaml), Pascal VOC "
            '(Annotations/*.xml), LabelMe, label maps (images/ and labels/), class folders, videos '
            'with groundtruth.txt, or images'
        )
    if strict and record.problems:
        file, reason = record.problems[0]
        more = f' ({len(record.problems)} such files)' if len(record.problems) > 1 else ''
        raise DataError(f'{file}: {reason}{more}')
    return record


def _read_file(path):
    if path.suffix in ('.yaml', '.yml'):
        return read_yolo(path)
    if path.suffix == '.json' and (data := _coco_content(path)):
        return read_coco(path.parent, {'train': (path, data)})
    raise DataError(f"'{path}' is neither a COCO file (.json) nor the YAML file of YOLO")


def split_of(name):
    """``'train'``, ``'val'`` or ``'test'`` by a file's or directory's name; None for another."""
    words = Path(name).stem.lower().replace('instances_', '').replace('_annotations.coco', '')
    for split, known in (('train', TRAIN), ('val', VAL), ('test', TEST)):
        if words in known or words.rpartition('_')[2] in known:
            return split
    return None


def _subfolders(path):
    return [item for item in sorted(path.iterdir()) if item.is_dir() and not is_hidden(item.name)]


def _split_folders(path):
    return {split_of(item.name): item for item in _subfolders(path) if split_of(item.name)}


def _coco_content(file):
    """Content of a COCO file; None of another JSON file."""
    data = read_json(file)
    return data if isinstance(data, dict) and {'images', 'categories'} <= set(data) else None


def _coco(root):
    files = [*root.glob('*.json'), *root.glob('annotations/*.json'), *root.glob('*/*.coco.json')]
    named, unnamed = {}, []
    for file in sorted(files):
        split = split_of(file.name) or split_of(file.parent.name)
        if split not in named and (data := _coco_content(file)):
            if split:
                named[split] = file, data
            else:
                unnamed.append((file, data))
    if not named and len(unnamed) == 1:
        named = {'train': unnamed[0]}
    return read_coco(root, named) if named else None


def read_coco(root, files):
    """Read COCO files, a dict of split -> (path, content); images are looked for below ``root``."""
    record = Record('det', 'COCO', Path(root), {})
    for split, (file, data) in files.items():
        masks = any(item.get('segmentation') for item in data.get('annotations', [])[:100])
        faults, repairs = judge_coco(data, str(file), annotated=split != 'test', masks=masks)
        if faults:
            more = f' (and {len(faults) - 1} more annotations)' if len(faults) > 1 else ''
            raise DataError(faults[0].reason + more)
        record.findings += repairs
        names = [item['name'] for item in sorted(data['categories'], key=lambda c: str(c['id']))]
        used = {item['category_id'] for item in data.get('annotations', ())}
        kept = {item['name'] for item in data['categories'] if item['id'] in used}
        record.classes += [name for name in names if name in kept and name not in record.classes]
        folder = image_folder(Path(root), split, data['images'], file)
        for image in data['images']:
            image['file_name'] = str(folder / image['file_name'])
        record.splits[split] = Split([Path(item['file_name']) for item in data['images']], data)
    return record


def image_folder(root, split, images, file):
    """Directory in which the images of a COCO file are."""
    known = dict(train=TRAIN, val=VAL, test=TEST)[split]
    names = ['', *known, *(f'images/{name}' for name in known), *IMAGES]
    folders = [Path(file).parent, *(root / name for name in names)]
    first = images[0]['file_name'] if images else ''
    for folder in folders:
        if (folder / first).is_file():
            return folder
    tried = ', '.join(f"'{folder}'" for folder in dict.fromkeys(folders) if folder.is_dir())
    raise DataError(f'{file}: image {first} is in none of {tried}')


def _yolo(root):
    file = find_yaml(root)
    return read_yolo(file) if file else None


def _voc(root):
    candidates = [root, *root.glob('VOCdevkit/*'), *root.glob('VOC*')]
    for folder in candidates:
        if (folder / 'JPEGImages').is_dir() and any((folder / 'Annotations').rglob('*.xml')):
            return read_voc(folder)
    return None


def _labelme(root):
    for file in [*root.glob('*.json'), *root.glob('*/*.json')][:20]:
        with open(file, encoding='utf-8', errors='replace') as text:
            if '"shapes"' in text.read(2**20):
                return read_labelme(root)
    return None


def _label_maps(root):
    """Images and label maps of equal names in two directories, with splits or without."""
    for images in (root / name for name in IMAGES if (root / name).is_dir()):
        for maps in (root / name for name in MAPS if (root / name).is_dir()):
            record = Record('seg', 'label maps', root, {}, _class_names(root))
            pairs = _split_folders(images)
            for split, folder in (pairs or {'train': images}).items():
                labels = maps / folder.name if pairs else maps
                if labels.is_dir():
                    found = match_maps(folder, labels, record)
                    if found.images:
                        record.splits[split] = found
            if record.splits:
                return record
    return None


def match_maps(images, maps, record):
    """Split: Pairs of equal names up to the suffix, or a suffix such as ``_mask``.

    Images and label maps without a counterpart become ``problems`` of the record.
    """
    files, _ = list_images(images)
    labels = {path.relative_to(maps).with_suffix(''): path for path in list_images(maps)[0]}
    stems = [file.relative_to(images).with_suffix('') for file in files]
    for ending in ('', '_mask', '_labelTrainIds', '_labels', '_label', '_L'):
        found = [labels.get(stem.with_name(stem.name + ending)) for stem in stems]
        if any(found):
            break
    else:
        return Split([])
    pairs = list(zip(files, found, strict=True))
    record.problems += [(str(f), f'no label map in {maps}') for f, label in pairs if not label]
    alone = sorted(set(labels.values()) - set(found))
    record.problems += [(str(label), f'no image in {images}') for label in alone]
    pairs = [(f, label) for f, label in pairs if label]
    return Split([f for f, _ in pairs], [label for _, label in pairs])


def _class_names(root):
    files = [root / name for name in NAMES if (root / name).is_file()]
    return list(filter(None, read_lines(files[0]))) if files else []


def _videos(root):
    """Directories with a ``groundtruth.txt`` each, of splits or without."""
    splits = _split_folders(root)
    record = Record('track', 'videos', root, {})
    for split, folder in (splits or {'train': root}).items():
        # LaSOT has directories of classes above its sequences
        files = [*folder.glob('*/groundtruth.txt'), *folder.glob('*/*/groundtruth.txt')]
        if files:
            record.splits[split] = Split(sorted(file.parent for file in files))
    return record if record.splits else None


def _class_folders(root):
    splits = _split_folders(root)
    record = Record('cls', 'class folders', root, {})
    for split, folder in (splits or {'train': root}).items():
        folders = _subfolders(folder)
        images = [(image, f.name) for f in folders for image in list_images(f)[0]]
        if len(folders) > 1 and images and not _has_images(folder):
            record.splits[split] = Split([i for i, _ in images], [name for _, name in images])
            names = sorted({name for _, name in images})
            if record.classes and names != record.classes:
                other = sorted(set(names) ^ set(record.classes))[0]
                raise DataError(f"class folder '{other}' is not in every split of '{root}'")
            record.classes = names
    return record if record.splits else None


def _has_images(folder):
    return any(os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES for name in os.listdir(folder))


def _images(root):
    images, _ = list_images(root)
    return Record('pretrain', 'images', root, {'train': Split(images)}) if images else None


FINDERS = (_coco, _yolo, _voc, _labelme, _label_maps, _videos, _class_folders, _images)
