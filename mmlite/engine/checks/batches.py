"""Check that the training data fill at least one batch."""

import json
import os

from mmpretrain.datasets import ImageNet

from mmlite.errors import DataError, UserError

from .classes import image_folder, is_labelled, list_file
from .data import dataset_class, is_local

WORLD_SIZES = dict(pytorch='WORLD_SIZE', slurm='SLURM_NTASKS', mpi='OMPI_COMM_WORLD_SIZE')
LARGEST_JSON = 2**24  # bytes of an annotation file that is read for its number of images


def check_batches(cfg):
    """Refuse training data without an image, or with less than a batch if that is dropped."""
    loader = cfg.get('train_dataloader')
    dataset = loader.get('dataset') if isinstance(loader, dict) else None
    wrapped = not isinstance(dataset, dict) or {'dataset', 'datasets'} & set(dataset)
    if wrapped or not is_local('', dataset):
        return
    scope = cfg.get('default_scope') or 'mmengine'
    processes = int(os.environ.get(WORLD_SIZES.get(cfg.get('launcher'), ''), 1))
    batch = loader.get('batch_size') or 1
    count, path = count_images(dataset, scope, enough=batch * processes)
    if count == 0:
        endings = ', '.join(_extensions(dataset))
        where = ' in directories of classes' if is_labelled(dataset) else ''
        raise DataError(f'{path!r} has no image{where} ({endings})')
    samplers = [loader.get(key) or {} for key in ('batch_sampler', 'sampler')]
    endless = any('Infinite' in str(sampler.get('type')) for sampler in samplers)
    drops = loader.get('drop_last') or samplers[0].get('drop_last')
    if count is None or endless or not drops or -(-count // processes) >= batch:
        return
    each = f' for each of {processes} processes' if processes > 1 else ''
    raise UserError(
        f'train_dataloader.batch_size={batch}, but {path!r} has {count} images and an incomplete '
        f'batch is dropped: set train_dataloader.batch_size to {-(-count // processes)} or '
        f'less{each}, or drop_last=False'
    )


def count_images(dataset, scope, enough):
    """Count the images of a data set, or up to ``enough`` of them.

    Returns the number (None where it is not easily known), and their file or directory.
    """
    listed = list_file(dataset)
    folder = image_folder(dataset, scope)
    if folder is not None:
        count = 0
        for path, _, files in os.walk(folder, followlinks=True):
            if not is_labelled(dataset) or path != folder:  # labelled images lie in class folders
                count += sum(file.lower().endswith(_extensions(dataset)) for file in files)
            if count >= enough:
                return enough, folder
        return count, folder
    bases = getattr(dataset_class(dataset, scope), '__mro__', ())
    detection = any(base.__name__ == 'BaseDetDataset' for base in bases)
    if detection and listed.endswith('.json') and '://' not in listed:
        return _count_listed(listed), listed
    return None, ''


def _extensions(dataset):
    return tuple(dataset.get('extensions') or ImageNet.IMG_EXTENSIONS)


def _count_listed(file):
    """Images of a COCO file; None if it is large or no such file, which its reader reports."""
    if os.path.getsize(file) > LARGEST_JSON:
        return None
    try:
        with open(file, encoding='utf-8') as text:
            images = json.load(text)['images']
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return len(images) if isinstance(images, list) and images else None
