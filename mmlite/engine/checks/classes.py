"""Checks that data sets agree about their classes, with each other and with the model's head."""

import os

from mmengine import registry as root

from mmlite.datasets.subsets import find_classes
from mmlite.errors import DataError, UserError

from .data import datasets
from .types import find

HEAD = 'model.head.num_classes'
NAMED = 3
"""So many classes are named in a message, the others counted."""


def check_classes(cfg, stages):
    """Compare class folders, lists of labels and the head of a classifier.

    Labels are positions of class folders in alphabetical order: if training and evaluation have
    different folders, a run goes through and its accuracy means nothing.

    Args:
        cfg (mmengine.config.Config): A config whose types and files are checked.
        stages (Iterable[str]): Of ``'train'``, ``'val'`` and ``'test'``; data sets of other stages
            are not looked at.

    Raises:
        UserError: The head has another number of classes than a data set or than mixed labels.
        DataError: Data sets have different class folders, or a list has a label that is no class.
    """
    model = cfg.get('model') or {}
    head = model.get('head')
    count = head.get('num_classes') if isinstance(head, dict) else None
    if count is None:
        return
    _check_mixed_labels(model, cfg, count)
    scope = cfg.get('default_scope') or 'mmengine'
    found = [item for stage in stages for item in datasets(cfg, stage)]
    folders = {path: folder for path, d in found if (folder := class_folder(d, scope))}
    names = {path: find_classes(folder) for path, folder in folders.items()}
    for path in list(names)[1:]:
        first = next(iter(names))
        _check_equal(folders[first], names[first], folders[path], names[path])
    for path, dataset in found:
        known = listed_classes(dataset, scope)
        own = names.get(path)
        if own and known and len(own) != len(known):
            raise DataError(
                f"'{folders[path]}' has {len(own)} class folders, but {path} names {len(known)} "
                f"classes; for data of your own write type='CustomDataset'"
            )
        classes = own or known
        if classes and len(classes) != count:
            raise UserError(
                f'{HEAD}={count}, but {path} has {len(classes)} classes: set {HEAD} and, with '
                f'mixup, model.data_preprocessor.num_classes to {len(classes)}'
            )
        _check_list(dataset, scope, count)


def class_folder(dataset, scope):
    """The folder whose folders are the classes of a data set.

    Args:
        dataset (dict): Config of a data set.
        scope (str): Default scope of the config.

    Returns:
        str | None: None where labels come from elsewhere, or the folder is not on this machine.
    """
    return image_folder(dataset, scope) if is_labelled(dataset) else None


def image_folder(dataset, scope):
    """The folder below which the images of a data set lie; as :func:`class_folder`, labels or not.

    Returns:
        str | None: None where a list names the images, or the folder is not on this machine.
    """
    if not _is_folder_dataset(dataset, scope) or list_file(dataset):
        return None
    prefix = dataset.get('data_prefix') or dataset.get('split') or ''
    prefix = prefix.get('img_path', '') if isinstance(prefix, dict) else prefix
    folder = os.path.join(dataset.get('data_root') or '', prefix)
    return folder if '://' not in folder else None


def is_labelled(dataset):
    """Whether a data set has labels, as far as its config says."""
    return bool(dataset.get('with_label', True)) and dataset.get('split') != 'test'


def list_file(dataset):
    """The annotation list that a data set of folders reads instead, or ''.

    mmpretrain's ``ImageNet`` takes ``meta/<split>.txt`` of its own accord.
    """
    data_root = dataset.get('data_root') or ''
    if dataset.get('ann_file'):
        return os.path.join(data_root, dataset['ann_file'])
    implied = os.path.join(data_root, 'meta', f'{dataset.get("split")}.txt')
    return implied if dataset.get('split') and os.path.isfile(implied) else ''


def listed_classes(dataset, scope):
    """Names of the classes that the config or the type of a data set lists, or None.

    Of a panoptic data set, these are the things: what is found as objects.
    """
    given = dataset.get('classes') or (dataset.get('metainfo') or {}).get('classes')
    own = getattr(_target(dataset, scope), 'METAINFO', None) or {}
    names = given or own.get('thing_classes') or own.get('classes')
    return names if isinstance(names, (list, tuple)) else None


def _check_mixed_labels(model, cfg, count):
    """Mixup turns labels into vectors of a length of its own."""
    mixes = (model.get('train_cfg') or {}).get('augments')
    own = (model.get('data_preprocessor') or cfg.get('data_preprocessor') or {}).get('num_classes')
    if mixes and own != count:
        raise UserError(
            f'{HEAD}={count}, but labels are mixed as vectors of '
            f'model.data_preprocessor.num_classes={own}: set both to the number of classes'
        )


def _check_equal(folder, names, other, other_names):
    for have, lack, more in (
        (folder, other, set(names) - set(other_names)),
        (other, folder, set(other_names) - set(names)),
    ):
        if more:
            shown = ', '.join(f"'{name}'" for name in sorted(more)[:NAMED])
            rest = f' and {len(more) - NAMED} more' if len(more) > NAMED else ''
            raise DataError(
                f"class folders differ: '{have}' has {shown}{rest}, which '{lack}' lacks; labels "
                f'count the folders in alphabetical order, so both need the same ones'
            )


def _check_list(dataset, scope, count):
    """Check the labels of an annotation list, which a GPU would only report as an assertion."""
    file = list_file(dataset)
    labelled = _is_folder_dataset(dataset, scope) and is_labelled(dataset)
    if not labelled or not file or '://' in file:
        return
    with open(file, encoding='utf-8') as lines:
        for number, line in enumerate(lines, 1):
            label = line.strip().rpartition(' ')[2]
            if not label.isdecimal() or int(label) >= count:
                raise DataError(
                    f"{file}, line {number}: '{label}' is no label from 0 to {count - 1}, the "
                    f'classes of {HEAD}; a line is PATH LABEL'
                )


def _is_folder_dataset(dataset, scope):
    """Whether a data set is mmpretrain's ``CustomDataset`` or one built on it."""
    bases = getattr(_target(dataset, scope), '__mro__', ())
    origins = [f'{base.__module__}.{base.__name__}' for base in bases]
    return 'mmpretrain.datasets.custom.CustomDataset' in origins


def _target(dataset, scope):
    """The class of a data set."""
    name = dataset.get('type')
    return find(name, root.DATASETS, scope) if isinstance(name, str) else name
