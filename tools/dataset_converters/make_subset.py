"""Write a list of some images of a directory data set: a balanced share, or a long tail.

    python tools/dataset_converters/make_subset.py data/imagenet/train --fraction 0.1
    make_subset.py data/imagenet/train --long-tailed --max 1280 --min 5
    make_subset.py data/imagenet/train --from-list ImageNet_LT_train.txt

Configs read it as train_dataloader.dataset.ann_file; data sets without a list (iNaturalist) are
read whole. Equal options and seed give equal lists, and with equal seeds a smaller balanced list
lies inside a larger one.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.datasets import subsets
from mmlite.engine.cli import non_negative_int, positive_int, tool
from mmlite.errors import DataError, UserError
from mmlite.utils import write_bytes, write_text
from mmlite.visualization import draw_curves


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('folder', type=Path, help='holds a directory for each class, e.g. data/imagenet/train')
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument('--fraction', type=float, metavar='F', help='share of all images, balanced')
    how.add_argument('--per-class', type=positive_int, metavar='N', help='images of every class')
    how.add_argument(
        '--long-tailed', nargs='?', const='pareto', choices=['pareto', 'exponential'],
        help='classes of falling size: Pareto of power 6 as ImageNet-LT (default), or '
        'exponential as CIFAR-LT',
    )  # fmt: skip
    how.add_argument('--from-list', type=Path, metavar='FILE', help='a published list, checked')
    add('--max', type=positive_int, metavar='N', help='images of the largest class of the tail')
    add('--min', type=positive_int, metavar='N', help='images of the smallest class of the tail')
    add('--imbalance', type=float, metavar='R', help='in place of --min: --max over --min')
    add('--seed', type=non_negative_int, default=0, help='of the random choice; default: 0')
    add('--out', type=Path, help='default: FOLDER/../meta/<name of FOLDER>_<kind>.txt')
    add('--no-labels', action='store_true', help='paths alone, for data sets with_label=False')
    add('--picture', type=Path, metavar='PNG', help='also plot the sizes of the classes')
    add('--force', action='store_true', help='replace an existing list')
    args = parser.parse_args(argv)
    tail = [f'--{key}' for key in ('max', 'min', 'imbalance') if getattr(args, key) is not None]
    if args.long_tailed and tail not in (['--max', '--min'], ['--max', '--imbalance']):
        raise UserError('--long-tailed needs --max and one of --min and --imbalance')
    if tail and not args.long_tailed:
        raise UserError(f'{tail[0]} belongs to --long-tailed')
    if args.imbalance is not None and args.imbalance < 1:
        raise UserError(f'--imbalance is {args.imbalance:g}; it must be >= 1')
    return args


def choose_images(args):
    """Kind of the subset, for its name, and its paths by class."""
    if args.from_list:
        return args.from_list.stem, subsets.read_list(args.from_list, args.folder)
    images = subsets.find_images(args.folder)
    names, sizes = list(images), [len(paths) for paths in images.values()]
    if args.fraction is not None:
        kind = f'{100 * args.fraction:g}percent'
        counts = subsets.fraction_counts(sizes, args.fraction, args.seed)
    elif args.per_class:
        kind, counts = f'{args.per_class}perclass', [args.per_class] * len(sizes)
        smallest = int(np.argmin(sizes))
        if sizes[smallest] < args.per_class:
            raise DataError(
                f"class '{names[smallest]}' has {sizes[smallest]} images, fewer than the "
                f'{args.per_class} asked of every class'
            )
    else:
        kind, smallest = 'longtailed', args.min or round(args.max / args.imbalance)
        tail = subsets.tail_counts(len(names), args.max, smallest, args.long_tailed)
        counts = subsets.assign_counts(tail, sizes, names, args.seed)
    return kind, subsets.sample_images(images, counts, args.seed)


@tool
def main(argv=None):
    args = parse_args(argv)
    kind, images = choose_images(args)
    folder = args.folder.absolute()
    out = args.out or args.folder.parent / 'meta' / f'{folder.name}_{kind}.txt'
    text = subsets.format_list(images, not args.no_labels)
    if out.is_file() and not args.force and out.read_text(encoding='utf-8') != text:
        raise UserError(f'{out} exists and differs: give --force or another --out')
    write_text(out, text)
    counts = np.array([len(paths) for paths in images.values()])
    empty = f', {(counts == 0).sum()} of them empty' if not counts.all() else ''
    print(
        f'{out}: {counts.sum()} images of {len(counts)} classes{empty}, '
        f'{counts.min()} to {counts.max()} per class'
    )
    if args.picture:
        falling = sorted(counts.tolist(), reverse=True)
        curve = {'images': (list(range(1, len(counts) + 1)), falling)}
        write_bytes(args.picture, draw_curves({'images per class': curve}, xlabel='class, by size'))
        print(f'{args.picture}: sizes of the classes')


if __name__ == '__main__':
    sys.exit(main())
