"""A clean copy of a data set in the suite's layout; images are links."""

import os
from collections import defaultdict
from pathlib import Path

import numpy as np

from mmlite.errors import DataError, UserError
from mmlite.utils import write_json, write_text

from .record import Split


def split_record(record, share, seed=0):
    """Divide a data set that has only a training split; classes of folders are divided each.

    Args:
        record (Record): Changed in place.
        share (float): Share of the images to train on, within 0 to 1.
        seed (int): Of the random order. Defaults to 0.
    """
    if not 0 < share < 1:
        raise UserError(f'--split must be between 0 and 1 (got {share:g})')
    if 'train' not in record.splits:
        raise UserError(
            f"'{record.root}' has no training split (it has {', '.join(record.splits)})"
        )
    whole = record.splits['train']
    groups = defaultdict(list)
    for index in range(len(whole.images)):
        groups[whole.labels[index] if record.task == 'cls' else ''].append(index)
    train = set()
    for name in sorted(groups):
        order = np.random.default_rng(seed).permutation(groups[name])
        count = min(max(round(share * len(order)), 1), max(len(order) - 1, 1))
        train.update(order[:count].tolist())
    chosen = [index in train for index in range(len(whole.images))]
    record.splits['train'] = _part(whole, chosen, record.task)
    record.splits['val'] = _part(whole, [not kept for kept in chosen], record.task)


def _part(split, chosen, task):
    images = [image for image, kept in zip(split.images, chosen, strict=True) if kept]
    labels = split.labels
    if task in ('seg', 'cls'):
        labels = [label for label, kept in zip(labels, chosen, strict=True) if kept]
    elif task == 'det':
        kept = [image for image, keep in zip(labels['images'], chosen, strict=True) if keep]
        ids = {image['id'] for image in kept}
        objects = [item for item in labels['annotations'] if item['image_id'] in ids]
        labels = dict(labels, images=kept, annotations=objects)
    return Split(images, labels)


def write_record(record, folder):
    """Write a data set in the layout that the recipes read.

    ==========  ==========================================================
    det         ``annotations/instances_<split>2017.json``, ``<split>2017/``
    seg         ``images/<split>/``, ``annotations/<split>/``, ``classes.txt``
    cls         ``<split>/<class>/``
    track       ``<split>/<sequence>/``
    pretrain    ``train/``
    ==========  ==========================================================

    Args:
        record (Record): What :func:`~.find.read_dataset` returned.
        folder (str | Path): Must not exist, or be empty.
    """
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"'{folder}' is not empty: choose another by --to")
    writers = dict(det=_write_coco, seg=_write_maps, cls=_write_classes)
    for name, split in record.splits.items():
        writers.get(record.task, _write_plain)(folder, name, split)
    if record.task == 'seg' and record.classes:
        write_text(folder / 'classes.txt', '\n'.join(record.classes) + '\n')


def _write_coco(folder, name, split):
    names = link_all(split.images, folder / f'{name}2017')
    pairs = zip(split.labels['images'], names, strict=True)
    images = [dict(image, file_name=file) for image, file in pairs]
    content = dict(split.labels, images=images)
    write_json(folder / 'annotations' / f'instances_{name}2017.json', content)


def _write_maps(folder, name, split):
    # whatever they are, one suffix: the reader takes one, and decoders look at the content
    names = link_all(split.images, folder / 'images' / name, '.jpg')
    for file, label in zip(names, split.labels, strict=True):
        link(label, folder / 'annotations' / name / f'{Path(file).stem}.png')


def _write_classes(folder, name, split):
    for label in sorted(set(split.labels)):
        pairs = zip(split.images, split.labels, strict=True)
        link_all([image for image, own in pairs if own == label], folder / name / label)


def _write_plain(folder, name, split):
    link_all(split.images, folder / name)


def link_all(paths, folder, suffix=None):
    """Link files into a directory, with ``suffix`` or their own; equal names get a number.

    Returns:
        list[str]: The new names.
    """
    taken, names = set(), []
    for path in paths:
        name, number = path.stem + (suffix or path.suffix), 1
        while Path(name).stem in taken:
            number += 1
            name = f'{path.stem}_{number}{suffix or path.suffix}'
        taken.add(Path(name).stem)
        link(path, folder / name)
        names.append(name)
    return names


def link(path, target):
    """Make ``target`` a symbolic link to a file or directory, a hard link where that fails."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.symlink_to(Path(path).resolve())
    except OSError:  # Windows without the right to make links
        try:
            os.link(path, target)
        except OSError as error:
            raise DataError(f'{target} cannot be linked to {path}: {error.strerror}') from error
