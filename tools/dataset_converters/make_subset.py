"""Write a list of some images of a folder data set: a balanced share, or a long tail.

    python tools/dataset_converters/make_subset.py data/imagenet/train --fraction 0.1
    make_subset.py data/imagenet/train --long-tailed --max 1280 --min 5
    make_subset.py data/imagenet/train --from-list ImageNet_LT_train.txt

Configs read it as train_dataloader.dataset.ann_file; folders without a list (ImageNet-21K,
iNaturalist) are read whole. Equal options and seed give equal lists, and with equal seeds a smaller
balanced list lies inside a larger one.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.datasets.subsets import (
    assign_counts,
    draw,
    equal_counts,
    find_images,
    format_list,
    fraction_counts,
    read_list,
    tail_counts,
)
from mmlite.engine.cli import tool
from mmlite.errors import DataError, UserError
from mmlite.visualization import draw_curves


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('folder', type=Path, help='holds a folder for each class, e.g. data/imagenet/train')
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument('--fraction', type=float, metavar='F', help='share of all images, balanced')
    how.add_argument('--per-class', type=int, metavar='N', help='images of every class')
    how.add_argument(
        '--long-tailed', nargs='?', const='pareto', choices=['pareto', 'exponential'],
        help='classes of falling size: Pareto of power 6 as ImageNet-LT (default), or '
        'exponential as CIFAR-LT',
    )  # fmt: skip
    how.add_argument('--from-list', type=Path, metavar='FILE', help='a published list, checked')
    add('--max', type=int, metavar='N', help='images of the largest class of the tail')
    add('--min', type=int, metavar='N', help='images of the smallest class of the tail')
    add('--imbalance', type=float, metavar='R', help='in place of --min: --max over --min')
    add('--seed', type=int, default=0, help='of the random choice; default: 0')
    add('--out', type=Path, help='default: FOLDER/../meta/<name of FOLDER>_<what>.txt')
    add('--no-labels', action='store_true', help='paths alone, for data sets with_label=False')
    add('--picture', type=Path, metavar='PNG', help='also draw the sizes of the classes')
    add('--force', action='store_true', help='replace a list that is there already')
    return parser.parse_args(argv)


def choose(args):
    """Paths by class, as the options ask."""
    if args.from_list:
        return read_list(args.from_list, args.folder)
    images = find_images(args.folder)
    names, sizes = list(images), [len(paths) for paths in images.values()]
    if args.fraction is not None:
        counts = fraction_counts(sizes, args.fraction, args.seed)
    elif args.per_class is not None:
        counts = equal_counts(sizes, args.per_class, names)
    else:
        tail = tail_counts(len(names), args.max, smallest(args), args.long_tailed)
        counts = assign_counts(tail, sizes, names, args.seed)
    return draw(images, counts, args.seed)


def check_options(args):
    """Refuse options that do not belong together."""
    tail = [f'--{key}' for key in ('max', 'min', 'imbalance') if getattr(args, key) is not None]
    if args.long_tailed and tail not in (['--max', '--min'], ['--max', '--imbalance']):
        raise UserError('--long-tailed needs --max and one of --min and --imbalance')
    if tail and not args.long_tailed:
        raise UserError(f'{tail[0]} belongs to --long-tailed')
    if args.imbalance is not None and args.imbalance < 1:
        raise UserError(f'--imbalance is {args.imbalance:g}; it should be 1 or more')
    if args.seed < 0:
        raise UserError(f'--seed is {args.seed}; it should be 0 or more')


def smallest(args):
    """Images of the smallest class of a tail."""
    return args.min if args.min is not None else round(args.max / args.imbalance)


def default_out(args):
    """Where mmpretrain looks for lists: ``meta`` beside the folder."""
    if args.from_list:
        what = args.from_list.stem
    elif args.fraction is not None:
        what = f'{100 * args.fraction:g}percent'
    else:
        what = 'longtailed' if args.long_tailed else f'{args.per_class}perclass'
    folder = args.folder.absolute()
    return args.folder.parent / 'meta' / f'{folder.name}_{what}.txt'


def write(path, data, force=True):
    """Write text or bytes, and say in one sentence why not.

    Raises:
        UserError: There is another file already and ``force`` is not given.
        DataError: The file cannot be written.
    """
    data = data.encode() if isinstance(data, str) else data
    try:
        if not force and path.exists() and path.read_bytes() != data:
            raise UserError(f'{path} is there already and differs: give --force or another --out')
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise DataError(f'cannot write {path}: {error.strerror}') from error


@tool
def main(argv=None):
    args = parse_args(argv)
    check_options(args)
    drawn = choose(args)
    counts = np.array([len(paths) for paths in drawn.values()])
    out = args.out or default_out(args)
    write(out, format_list(drawn, not args.no_labels), args.force)
    empty = f', {(counts == 0).sum()} of them empty' if not counts.all() else ''
    print(
        f'{out}: {counts.sum()} images of {len(counts)} classes{empty}, '
        f'{counts.min()} to {counts.max()} a class'
    )
    if args.picture:
        falling = sorted(counts.tolist(), reverse=True)
        curve = {'images': (list(range(1, len(counts) + 1)), falling)}
        write(args.picture, draw_curves({'images a class': curve}, xlabel='class, by size'))
        print(f'{args.picture}: sizes of the classes')


if __name__ == '__main__':
    sys.exit(main())
