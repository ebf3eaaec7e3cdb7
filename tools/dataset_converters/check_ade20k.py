"""Check the images and label maps of ADE20K or any other segmentation data set.

    python tools/dataset_converters/check_ade20k.py data/ade/ADEChallengeData2016
    check_ade20k.py ROOT --config configs/seg/CONFIG.py --out report.json
    check_ade20k.py --images DIR --annotations DIR --classes 19

Reads every file and prints one report: counts, files without a counterpart, unreadable files, sizes
that differ, label values outside the range, the share of each class, and whether the labels need
reduce_zero_label. Exits with 0 where nothing is wrong, with 1 otherwise.
"""

import argparse
import inspect
import re
import sys
from pathlib import Path

from mmseg.registry import DATASETS

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.datasets.check_segmentation import (
    KINDS,
    ConfigLabels,
    check_split,
    compare_config,
    find_pairs,
    find_splits,
    judge_zero,
)
from mmlite.engine.checks.data import datasets
from mmlite.engine.cli import positive_int, tool
from mmlite.engine.config_file import load_config
from mmlite.errors import DataError, UserError
from mmlite.utils import Progress, render_table, write_json

LISTED = 20  # problems of a kind in the printed report; --out has all
ADE20K_CLASSES = 150


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('root', nargs='?', type=Path, help='holds images/ and annotations/, as ADE20K')
    add('--images', type=Path, metavar='DIR', help='in place of ROOT, with --annotations')
    add('--annotations', type=Path, metavar='DIR', help='label maps of --images')
    add('--img-suffix', default='.jpg', help='end of the image files; default: .jpg')
    add('--seg-map-suffix', default='.png', help='end of the label maps; default: .png')
    add(
        '--classes', type=positive_int, metavar='K',
        help='default: as ROOT/objectInfo<K>.txt says, else as --config, else 150',
    )  # fmt: skip
    add('--ignore-index', type=int, default=255, help='a value beside them; default: 255')
    add('--config', type=Path, help='also compare its data sets and heads with the labels')
    add('--workers', type=positive_int, default=8, help='threads; default: 8')
    add('--out', type=Path, metavar='JSON', help='also write the whole report')
    args = parser.parse_args(argv)
    if (args.images is None) != (args.annotations is None):
        raise UserError('--images and --annotations belong together')
    if (args.root is None) == (args.images is None):
        raise UserError('give either ROOT, or --images and --annotations')
    return args


def read_config(path):
    """Distinct ConfigLabels of a config, and its class names."""
    cfg = load_config(path)
    scope = cfg.get('default_scope')
    if scope != 'mmseg':
        raise UserError(f"config {path} has default_scope={scope!r}; it should be 'mmseg'")
    found, names = {}, []
    for stage in ('train', 'val', 'test'):
        for key, item in datasets(cfg, stage):
            kind = DATASETS.get(item.get('type'))
            if kind is None:
                raise UserError(f'config {path}: {key}.type={item.get("type")!r} is no data set')
            own = getattr(kind, 'METAINFO', {}).get('classes')
            used = (item.get('metainfo') or {}).get('classes') or own
            if not used:
                raise UserError(f'config {path}: {key} names no classes: set its metainfo.classes')
            names = names or list(own or used)
            zero = bool(item.get('reduce_zero_label', default_of_zero(kind)))
            labels = ConfigLabels(key, zero, len(own or used), len(used))
            found.setdefault(labels[1:], labels)
    if not found:
        raise UserError(f'config {path} has no data set')
    heads = tuple(head_classes(cfg.get('model') or {}))
    return [labels._replace(heads=heads) for labels in found.values()], names


def head_classes(model):
    """Key and number of classes of every head of a model's config."""
    for key in ('decode_head', 'auxiliary_head'):
        found = model.get(key) or []
        for index, head in enumerate(found if isinstance(found, list) else [found]):
            place = f'[{index}]' if isinstance(found, list) else ''
            if 'num_classes' in head:
                yield f'model.{key}{place}.num_classes', head['num_classes']


def default_of_zero(kind):
    """Default of ``reduce_zero_label``, from the first constructor in the MRO that has it."""
    for parent in kind.__mro__:
        if '__init__' in vars(parent):
            parameter = inspect.signature(parent.__init__).parameters.get('reduce_zero_label')
            if parameter:
                return parameter.default
    return None


def read_names(root):
    """Class names of ``objectInfo<K>.txt``, empty where there is no such file."""
    files = [] if root is None else sorted(root.glob('objectInfo*.txt'))
    files = [file for file in files if re.fullmatch(r'objectInfo\d+', file.stem)]
    if not files:
        return []
    lines = files[0].read_text(encoding='utf-8', errors='replace').splitlines()[1:]
    names = [line.split('\t')[-1].strip() for line in lines if line.strip()]
    if len(names) != int(files[0].stem.removeprefix('objectInfo')):
        raise DataError(f'{files[0]} lists {len(names)} classes, which is not what its name says')
    return names


def write_report(splits, classes, names, verdict, wrong):
    """The report as lines of text."""
    yield f'{classes} classes'
    for name, split in splits.items():
        yield (
            f'{name}: {split.images} images, {split.labels} label maps, {len(split.pairs)} pairs, '
            f'{split.ignored} ignored pixels'
        )
    problems = [problem for split in splits.values() for problem in split.problems]
    for kind, heading in KINDS.items():
        found = [problem for problem in problems if problem.kind == kind]
        yield f'{heading}: {len(found) or "none"}'
        for problem in found[:LISTED]:
            yield f'  {problem.file}' + (f': {problem.text}' if problem.text else '')
        if len(found) > LISTED:
            yield f'  and {len(found) - LISTED} more, which --out lists'
    yield 'share of the labelled pixels / label maps that show the class:'
    rows = [
        (v, name[:24], *(f'{share(s, v):.3%} {s.shown[v]:>8}' for s in splits.values()))
        for v, name in enumerate(names)
    ]
    yield render_table(('value', 'class', *splits), rows, left=2)
    known = verdict.reduce_zero_label is not None
    yield f'reduce_zero_label={verdict.reduce_zero_label if known else "?"}: {verdict.why}'
    if verdict.doubt:
        yield f'but {verdict.doubt}'
    yield from wrong


def share(split, value):
    """Share of a value among all pixels of a split, without the ignored and the wrong ones."""
    return split.pixels[value] / max(split.pixels.sum(), 1)


def as_json(name, split, names):
    """The report of a split as plain types; ``names`` are those of the values."""
    return {
        'images': split.images,
        'labels': split.labels,
        'pairs': len(split.pairs),
        'ignored_pixels': split.ignored,
        'values': [
            {
                'value': value,
                'name': label,
                'pixels': int(split.pixels[value]),
                'share': float(share(split, value)),
                'label_maps': int(split.shown[value]),
            }
            for value, label in enumerate(names)
        ],
        'problems': [{'split': name, **problem._asdict()} for problem in split.problems],
    }


def name_values(names, classes, reduce_zero_label):
    """Name of each value 0 to ``classes``, empty where it is unknown."""
    if len(names) != classes:
        return [''] * (classes + 1)
    return [*names, ''] if reduce_zero_label is False else ['(unlabelled)', *names]


def check_labels(args, classes):
    """Reports of the splits."""
    folders = {'pairs': (args.images, args.annotations)} if args.images else find_splits(args.root)
    splits = {
        name: find_pairs(*pair, args.img_suffix, args.seg_map_suffix)
        for name, pair in folders.items()
    }
    with Progress('check', sum(len(split.pairs) for split in splits.values()), 'pairs') as progress:
        for split in splits.values():
            check_split(split, classes, args.ignore_index, args.workers, progress.advance)
    return splits


@tool
def main(argv=None):
    args = parse_args(argv)
    sets, config_names = read_config(args.config) if args.config else ([], [])
    names = read_names(args.root)
    labelled = args.classes or len(names) or None
    names = names or config_names
    classes = labelled or (sets[0].labelled if sets else ADE20K_CLASSES)
    splits = check_labels(args, classes)
    reports = splits.values()
    verdict = judge_zero(sum(s.pixels for s in reports), sum(s.ignored for s in reports))
    wrong = [text for s in sets for text in compare_config(verdict, labelled, args.config, s)]
    wrong = list(dict.fromkeys(wrong))
    names = name_values(names, classes, verdict.reduce_zero_label)
    print('\n'.join(write_report(splits, classes, names, verdict, wrong)))
    found = sum(len(split.problems) for split in reports)
    if args.out:
        report = {
            'classes': classes,
            'splits': {name: as_json(name, split, names) for name, split in splits.items()},
            'reduce_zero_label': verdict._asdict(),
            'config': wrong,
            'clean': not (found or wrong),
        }
        write_json(args.out, report)
    if found or wrong:
        where = f'{found} problems in the data' if found else 'the data are clean'
        raise DataError(f'{where}, {len(wrong)} in the config: see the report')


if __name__ == '__main__':
    sys.exit(main())
