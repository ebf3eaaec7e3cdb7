"""Draw generated pictures into the files of CIFAR-10 (python version), 32 pixels, ten classes.

    python projects/cifar_mae/make_cifar.py --out data/shapes-cifar --train 2000 --test 500

Equal options give equal files. Files that are there already are replaced.
"""

import argparse
import pickle
import sys
from pathlib import Path

import cv2
import numpy as np

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.datasets.shapes import Job, render, task_spec
from mmlite.engine.cli import tool
from mmlite.errors import DataError, UserError
from mmlite.utils import write_bytes

FOLDER = 'cifar-10-batches-py'
BATCHES = 5  # of training pictures
SIDE = 32  # of a picture, px
DRAWN_SIDE = 64  # px; generated pictures are shrunk to half of it, which also smooths them
CLASSES = 10


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('--out', type=Path, default=Path('data/shapes-cifar'), help='default: data/shapes-cifar')
    add('--train', type=int, default=2000, metavar='N', help='pictures; default: 2000')
    add('--test', type=int, default=500, metavar='N', help='pictures; default: 500')
    add('--seed', type=int, default=0, help='default: 0')
    return parser.parse_args(argv)


def draw(split, count, seed=0):
    """Generated pictures of ten classes of shapes; colour is no cue.

    Args:
        split (str): ``'train'`` or ``'val'``; they have no picture in common.
        count (int): Pictures.
        seed (int): Of the generator. Defaults to 0.

    Returns:
        tuple[ndarray, list[int], tuple[str]]: RGB uint8 (count, 32, 32, 3), labels and class names.
    """
    spec = task_spec('cls', size=DRAWN_SIDE, classes=CLASSES)
    job = Job('cls', Path(), spec, seed=seed)
    pictures = np.empty((count, SIDE, SIDE, 3), np.uint8)
    for index in range(count):
        picture = render(job.scene(split, index)).image
        pictures[index] = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        if (index + 1) % 500 == 0:
            print(f'{split}: {index + 1} of {count} pictures', flush=True)
    return pictures, [job.label(split, index) for index in range(count)], spec.class_names


def write_cifar10(root, train, test, class_names):
    """Write the seven files: five batches, the test batch and the names of the classes.

    Args:
        root (Path): Where ``cifar-10-batches-py`` goes.
        train, test (tuple[ndarray, list[int]]): Pictures, RGB uint8 (N, 32, 32, 3), and labels.
        class_names (Sequence[str]): Ten of them.
    """
    folder = Path(root) / FOLDER
    pictures, labels = train
    parts = np.array_split(np.arange(len(labels)), BATCHES)
    for number, part in enumerate(parts, 1):
        title = f'training batch {number} of {BATCHES}'
        own = [labels[index] for index in part]
        _write_batch(folder / f'data_batch_{number}', title, pictures[part], own)
    _write_batch(folder / 'test_batch', 'testing batch 1 of 1', *test)
    names = dict(
        num_cases_per_batch=len(parts[0]), label_names=list(class_names), num_vis=3 * SIDE**2
    )
    write_bytes(folder / 'batches.meta', pickle.dumps(names, protocol=2))


def _write_batch(path, title, pictures, labels):
    """One batch: a row a picture, all of its red values first, then green, then blue."""
    rows = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)).reshape(len(pictures), -1)
    names = [f'{index:05d}.png' for index in range(len(labels))]
    batch = dict(batch_label=title, labels=labels, data=rows, filenames=names)
    write_bytes(path, pickle.dumps(batch, protocol=2))


@tool
def main(argv=None):
    args = parse_args(argv)
    for name, least in (('train', BATCHES), ('test', 1), ('seed', 0)):
        if getattr(args, name) < least:
            raise UserError(f'--{name} is {getattr(args, name)}; give {least} or more')
    *train, names = draw('train', args.train, args.seed)
    *test, _ = draw('val', args.test, args.seed)
    try:
        write_cifar10(args.out, train, test, names)
    except OSError as error:
        raise DataError(f'cannot write {error.filename or args.out}: {error.strerror}') from error
    print(f'{args.out}: {args.train} training and {args.test} test pictures, {len(names)} classes')


if __name__ == '__main__':
    sys.exit(main())
