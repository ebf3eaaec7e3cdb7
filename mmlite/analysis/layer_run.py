"""What the tools of the layer analysis share: options, models, images, progress, output."""

import io
import re
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from mmlite.engine.cli import check_device, check_out_folder
from mmlite.errors import UserError
from mmlite.utils import write_bytes

from .layer_images import draw_sample, open_images
from .layer_models import build_model

OFFICIAL_IMAGES, OFFICIAL_BATCH = 1152, 128
"""The paper's: batches of 128 until more than 1024 images are seen."""
MODEL_FORMS = (
    'NAME=CONFIG:CHECKPOINT, NAME=CONFIG (weights that training starts from), NAME=timm:MODEL '
    '(weights from timm) or NAME=timm:MODEL:CHECKPOINT; NAME= may be left away'
)


def add_layer_options(parser, folder, need_models=True):
    """Add the options that both tools have.

    Args:
        parser (argparse.ArgumentParser): Of a tool.
        folder (str): Default of ``--out``, below ``work_dirs``.
        need_models (bool): Whether ``--models`` must be given. Defaults to True.
    """
    add = parser.add_argument
    add('--models', nargs='+', default=[], required=need_models, metavar='MODEL', help=MODEL_FORMS)
    add(
        '--data', metavar='PATH',
        help='folder of images, or config whose validation data are taken; default: the first '
        'config among the models',
    )  # fmt: skip
    add(
        '--num-images', type=int, default=OFFICIAL_IMAGES, metavar='N',
        help=f'default: {OFFICIAL_IMAGES}, as in the paper',
    )  # fmt: skip
    add('--batch-size', type=int, default=OFFICIAL_BATCH, metavar='N', help='default: 128')
    add(
        '--official-sampling', action='store_true',
        help='take the first images as the data come, which on class-sorted data are of few '
        'classes, instead of random ones',
    )  # fmt: skip
    add('--seed', type=int, default=0, help='of the sample and of random weights; default: 0')
    add(
        '--image-size', type=int, metavar='PIXELS',
        help='side of the central crop that all models see; default: what they are built for',
    )  # fmt: skip
    add(
        '--device', choices=['cpu', 'cuda'],
        default='cuda' if torch.cuda.is_available() else 'cpu', help='default: a GPU if any',
    )  # fmt: skip
    add('--workers', type=int, default=2, metavar='N', help='processes that read; default: 2')
    add('--out', type=Path, default=Path('work_dirs') / folder, help='folder; default: %(default)s')


def check_layer_options(args):
    """Refuse what cannot run, before anything is built.

    Raises:
        UserError: Names the option.
    """
    for name, least in (('num_images', 0), ('batch_size', 1), ('workers', 0), ('image_size', 1)):
        value = getattr(args, name)
        if value is not None and value < least:
            option = name.replace('_', '-')
            raise UserError(f'--{option} is {value}; give {least} or more')
    check_device(args.device)
    check_out_folder('--out', args.out)


def build_models(sources, args):
    """Models on the device of ``args``, random weights drawn by its seed."""
    models = []
    for number, source in enumerate(sources, 1):
        torch.manual_seed(args.seed)
        models.append(build_model(source).to(torch.device(args.device)))
        print(f'[{number}/{len(sources)}] {source.name}', flush=True)
    return models


def choose_size(models, wanted=None):
    """Side of the images that all models see.

    Args:
        models (Sequence[TappedModel]): Position tables are resampled to another size than theirs.
        wanted (int, optional): The user's choice in pixels. Defaults to what all are built for.

    Raises:
        UserError: If the models are built for different sizes and there is no choice.
    """
    sizes = {model.name: model.image_size for model in models}
    if wanted is None and len(set(sizes.values())) > 1:
        listed = ', '.join(f'{name} {size}' for name, size in sizes.items())
        raise UserError(
            f'the models are built for images of different sizes ({listed} pixels): choose the one '
            f'that all see by --image-size'
        )
    return wanted or sizes[models[0].name]


def open_data(sources, args, size):
    """Images of ``--data``, or of the first config among the models.

    Raises:
        UserError: If there is neither.
    """
    place = args.data or next((source.config for source in sources if source.config), None)
    if place is None:
        raise UserError('give --data: models of timm have no validation data')
    return open_images(place, size)


def open_batches(sources, args, size):
    """The sample of images that the options ask for, with progress."""
    images = open_data(sources, args, size)
    loader = draw_sample(
        images, args.num_images, args.batch_size, not args.official_sampling, args.seed,
        args.workers,
    )  # fmt: skip
    return progress(loader)


def progress(batches, seconds=5.0):
    """Pass batches on and print how many are done and how long the rest takes.

    Args:
        batches (Sized): Of images.
        seconds (float): Between lines; the last batch always has one. Defaults to 5.

    Yields:
        Tensor: The batches.
    """
    start = shown = time.monotonic()
    for done, batch in enumerate(batches, 1):
        yield batch
        now = time.monotonic()
        if now - shown < seconds and done < len(batches):
            continue
        left = (now - start) / done * (len(batches) - done)
        print(
            f'batch {done} of {len(batches)}, {int(left // 60)}:{int(left % 60):02d} left',
            flush=True,
        )
        shown = now


@contextmanager
def memory_errors():
    """Turn that the batch does not fit into the GPU into one sentence."""
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        raise UserError('the batches do not fit into the GPU: lower --batch-size') from error


def file_name(name):
    """The name of a model as part of a file's name."""
    return re.sub(r'[^\w.-]+', '_', name)


def write_array(path, array):
    """Write a NumPy file and say so; its folder is made.

    Raises:
        DataError: If the file cannot be written.
    """
    buffer = io.BytesIO()
    np.save(buffer, array)
    write_bytes(path, buffer.getvalue())
    print(f'{path}: {" x ".join(map(str, array.shape))}')
