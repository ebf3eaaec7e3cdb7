"""Checks that the training data fill at least one batch."""

import json
import os

from mmengine import registry as root
from mmpretrain.datasets import ImageNet

from mmlite.errors import DataError, UserError

from .classes import image_folder, is_labelled, list_file
from .data import is_local
from .types import find

WORLD_SIZES = {
    'pytorch': 'WORLD_SIZE',
    'slurm': 'SLURM_NTASKS',
    'mpi': 'OMPI_COMM_WORLD_SIZE',
}
"""Launcher -> the environment variable with the number of processes."""

LARGEST_JSON = 2**24
"""Bytes of an annotation file up to which it is read for its number of images."""


def check_batches(cfg):
    """Refuse training data without an image, and fewer than a batch where it would be dropped.

    No more files are looked at than a batch has images.

    Args:
        cfg (mmengine.config.Config): A config whose types and files are checked.

    Raises:
        DataError: A folder has no image.
        UserError: Names batch size and number of images.
    """
    loader = cfg.get('train_dataloader')
    dataset = loader.get('dataset') if isinstance(loader, dict) else None
    wrapped = not isinstance(dataset, dict) or {'dataset', 'datasets'} & set(dataset)
    if wrapped or not is_local('', dataset):
        return
    scope = cfg.get('default_scope') or 'mmengine'
    processes = int(os.environ.get(WORLD_SIZES.get(cfg.get('launcher'), ''), 1))
    batch = loader.get('batch_size') or 1
    count, place = count_images(dataset, scope, enough=batch * processes)
    if count == 0:
        endings = ', '.join(_extensions(dataset))
        where = ' in directories of classes' if is_labelled(dataset) else ''
        raise DataError(f'{place!r} has no image{where} ({endings})')
    if count is None or not _drops_last(loader) or -(-count // processes) >= batch:
        return
    each = f' for each of {processes} processes' if processes > 1 else ''
    raise UserError(
        f'train_dataloader.batch_size={batch}, but {place!r} has {count} images and an incomplete '
        f'batch is dropped: set train_dataloader.batch_size to {-(-count // processes)} or '
        f'less{each}, or drop_last=False'
    )


def count_images(dataset, scope, enough):
    """The number of images of a data set, or ``enough`` if it has more.

    Args:
        dataset (dict): Its config.
        scope (str): Default scope of the config.
        enough (int): Where counting ends.

    Returns:
        tuple[int | None, str]: The number, None where it is not easily known, and the file or
        folder that says it.
    """
    listed = list_file(dataset)
    folder = image_folder(dataset, scope)
    if folder is not None:
        return _count_files(folder, is_labelled(dataset), _extensions(dataset), enough), folder
    if listed.endswith('.json') and '://' not in listed and _is_detection(dataset, scope):
        return _count_listed(listed), listed
    return None, ''


def _drops_last(loader):
    """Whether a loader leaves out an incomplete batch of a sampler that comes to an end."""
    parts = [loader.get(key) or {} for key in ('batch_sampler', 'sampler')]
    endless = any('Infinite' in str(part.get('type')) for part in parts)
    return not endless and bool(loader.get('drop_last') or parts[0].get('drop_last'))


def _extensions(dataset):
    return tuple(dataset.get('extensions') or ImageNet.IMG_EXTENSIONS)


def _count_files(folder, labelled, extensions, enough):
    """Images below a folder; labelled ones lie in the folders of their classes."""
    count = 0
    for place, _, files in os.walk(folder, followlinks=True):
        if not labelled or place != folder:
            count += sum(file.lower().endswith(extensions) for file in files)
        if count >= enough:
            return enough
    return count


def _count_listed(file):
    """Images of a COCO file; None if it is large or no such file, which its reader tells better."""
    if os.path.getsize(file) > LARGEST_JSON:
        return None
    try:
        with open(file, encoding='utf-8') as text:
            images = json.load(text)['images']
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return len(images) if isinstance(images, list) and images else None


def _is_detection(dataset, scope):
    name = dataset.get('type')
    target = find(name, root.DATASETS, scope) if isinstance(name, str) else name
    return any(base.__name__ == 'BaseDetDataset' for base in getattr(target, '__mro__', ()))
