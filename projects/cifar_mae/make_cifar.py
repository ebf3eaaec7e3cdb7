"""Write generated images as the files of CIFAR-10 (python version), 32 pixels, ten classes.

    python projects/cifar_mae/make_cifar.py --out data/shapes-cifar --train 2000 --test 500

Equal options give equal files. Existing files are replaced.
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
from mmlite.errors import UserError
from mmlite.utils import write_bytes

FOLDER = 'cifar-10-batches-py'
BATCHES = 5  # of training images
SIDE = 32  # px
RENDERED_SIDE = 64  # px; generated images are shrunk to half of it, which also smooths them
CLASSES = 10


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('--out', type=Path, default=Path('data/shapes-cifar'), help='default: data/shapes-cifar')
    add('--train', type=int, default=2000, metavar='N', help='images; default: 2000')
    add('--test', type=int, default=500, metavar='N', help='images; default: 500')
    add('--seed', type=int, default=0, help='default: 0')
    return parser.parse_args(argv)


def generate_images(split, count, seed=0):
    """Generated pictures of ten classes of shapes; color is no cue.

    Args:
        split (str): ``'train'`` or ``'val'``; they have no image in common.
        count (int): Number of images.
        seed (int): Defaults to 0.

    Returns:
        tuple[ndarray, list[int], tuple[str]]: RGB uint8 (count, 32, 32, 3), labels and class names.
    """
    spec = task_spec('cls', size=RENDERED_SIDE, classes=CLASSES)
    job = Job('cls', Path(), spec, seed=seed)
    images = np.empty((count, SIDE, SIDE, 3), np.uint8)
    for index in range(count):
        image = render(job.scene(split, index)).image
        images[index] = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        if (index + 1) % 500 == 0:
            print(f'{split}: {index + 1} of {count} images', flush=True)
    return images, [job.label(split, index) for index in range(count)], spec.class_names


def write_cifar10(root, train, test, class_names):
    """Write the seven files: five batches, the test batch and the names of the classes.

    Args:
        root (Path): Directory for ``cifar-10-batches-py``.
        train, test (tuple[ndarray, list[int]]): Images, RGB uint8 (N, 32, 32, 3), and labels.
        class_names (Sequence[str]): Ten of them.
    """
    folder = Path(root) / FOLDER
    images, labels = train
    parts = np.array_split(np.arange(len(labels)), BATCHES)
    for number, part in enumerate(parts, 1):
        title = f'training batch {number} of {BATCHES}'
        part_labels = [labels[index] for index in part]
        _write_batch(folder / f'data_batch_{number}', title, images[part], part_labels)
    _write_batch(folder / 'test_batch', 'testing batch 1 of 1', *test)
    names = dict(
        num_cases_per_batch=len(parts[0]), label_names=list(class_names), num_vis=3 * SIDE**2
    )
    write_bytes(folder / 'batches.meta', pickle.dumps(names, protocol=2))


def _write_batch(path, title, images, labels):
    """Write a batch: a row per image, its red values first, then green, then blue."""
    rows = np.ascontiguousarray(images.transpose(0, 3, 1, 2)).reshape(len(images), -1)
    names = [f'{index:05d}.png' for index in range(len(labels))]
    batch = dict(batch_label=title, labels=labels, data=rows, filenames=names)
    write_bytes(path, pickle.dumps(batch, protocol=2))


@tool
def main(argv=None):
    args = parse_args(argv)
    for name, least in (('train', BATCHES), ('test', 1), ('seed', 0)):
        if getattr(args, name) < least:
            raise UserError(f'--{name} is {getattr(args, name)}; it must be >= {least}')
    *train, names = generate_images('train', args.train, args.seed)
    *test, _ = generate_images('val', args.test, args.seed)
    write_cifar10(args.out, train, test, names)
    print(f'{args.out}: {args.train} training and {args.test} test images, {len(names)} classes')


if __name__ == '__main__':
    sys.exit(main())
