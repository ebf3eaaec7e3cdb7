"""Write a config for data of one's own, and say how to train it.

    python tools/new.py det data/mine --out my-objects.py
    new.py cls data/mine --backbone hiera-tiny --init work_dirs/mae/epoch_400.pth

DATA is what import_data.py wrote; pre-training takes any directory of images. Batch size, length
and image size follow from the number of images and the GPUs of this machine.
"""

import argparse
import os
import shlex
import sys
from pathlib import Path

import torch

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.datasets.formats.find import read_dataset
from mmlite.datasets.formats.survey import judge_values, survey_split
from mmlite.engine.cli import non_negative_int, tool
from mmlite.engine.config_file import load_config
from mmlite.engine.starter import starter_config
from mmlite.errors import UserError
from mmlite.models.weights import load_pretrained
from mmlite.registry import MODELS
from mmlite.utils import Progress, write_text


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('task', choices=['pretrain', 'det', 'seg', 'cls', 'track'])
    add('data', type=Path, help='directory')
    add('--backbone', choices=['vit-tiny', 'hiera-tiny'], default='vit-tiny')
    add('--init', metavar='FILE', help='pre-trained checkpoint; default: random weights')
    add('--out', type=Path, metavar='PY', help='default: <DATA>_<TASK>.py in this directory')
    add(
        '--gpus', type=non_negative_int, default=torch.cuda.device_count(),
        help='default: those of this machine',
    )  # fmt: skip
    return parser.parse_args(argv)


def count_labels(record):
    """Set the classes and ``reduce_zero_label`` of label maps from their values."""
    split = record.splits['train']
    with Progress('label maps', len(split.images), 'images') as progress:
        pixels = survey_split(split, 'seg', progress=progress.advance).counts
    classes, zero, why = judge_values(pixels, len(record.classes) or None)
    record.classes = record.classes or [f'class {number}' for number in range(classes)]
    record.reduce_zero_label = bool(zero)
    print(f'{classes} classes, reduce_zero_label={bool(zero)}: {why}')


@tool
def main(argv=None):
    args = parse_args(argv)
    out = args.out or Path(f'{args.data.resolve().name}_{args.task}.py')
    if out.exists():
        raise UserError(f"'{out}' exists: choose another by --out")
    record = read_dataset(args.data)
    if args.task == 'pretrain':
        record.task = 'pretrain'
        images = record.splits['train'].images
        args.data = Path(os.path.commonpath([image.parent for image in images]))
    elif record.task != args.task:
        raise UserError(
            f"'{args.data}' is a data set of {record.format} ({record.task}), not for {args.task}"
        )
    elif record.task == 'seg':
        count_labels(record)
    write_text(out, starter_config(record, args.data, args.backbone, args.init, args.gpus))
    try:
        cfg = load_config(out)
        if args.init:
            load_pretrained(MODELS.build(cfg.model.backbone), args.init)
    except UserError:
        out.unlink()
        raise
    name = shlex.quote(str(out))
    launch = (
        f'bash tools/dist_train.sh {name} {args.gpus}' if args.gpus > 1 else f'mmlite train {name}'
    )
    print(f"'{out}' is written. Look at what the model will see, and train:\n")
    print(f'    mmlite browse {name} --output-dir images\n    {launch}')


if __name__ == '__main__':
    sys.exit(main())
