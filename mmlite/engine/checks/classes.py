"""Checks that data sets agree about their classes, with each other and with the model's heads."""

import os

from mmlite.datasets.subsets import find_classes
from mmlite.errors import DataError, UserError
from mmlite.utils.names import listed

from ..cli import LOCAL_RANKS
from .data import dataset_class, datasets
from .values import check_integer

HEAD = 'model.head.num_classes'

DETECTION = ('bbox_head', 'mask_head', 'roi_head.bbox_head', 'roi_head.mask_head')
HEADS = (*DETECTION, 'decode_head', 'auxiliary_head')  # below ``model``, with the data's classes
OTHER = ('STDCHead', 'SideAdapterCLIPHead')  # have classes of their own, such as boundaries


def check_classes(cfg, stages):
    """Compare class folders, annotation lists and the head of a classifier.

    Labels are positions of class folders in alphabetical order: if training and evaluation have
    different folders, a run goes through and its accuracy means nothing.

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
    for path in names:
        first = next(iter(names))
        _check_equal(folders[first], names[first], folders[path], names[path])
    for path, dataset in found:
        named, given = names.get(path), listed_classes(dataset, scope)
        if named and given and len(named) != len(given):
            raise DataError(
                f"'{folders[path]}' has {len(named)} class folders, but {path} names "
                f"{len(given)} classes; for data of your own write type='CustomDataset'"
            )
        classes = named or given
        if classes and len(classes) != count:
            raise UserError(
                f'{HEAD}={count}, but {path} has {len(classes)} classes: set {HEAD} and, with '
                f'mixup, model.data_preprocessor.num_classes to {len(classes)}'
            )
        # one process of a machine reads a list, which may have millions of lines
        if os.environ.get(LOCAL_RANKS.get(cfg.get('launcher'), ''), '0') == '0':
            _check_list(dataset, scope, count)


def check_heads(cfg, stages):
    """Compare ``num_classes`` of detectors' and segmentors' heads with the classes of data sets.

    A head with too few would fail during training, one with too many in the evaluation.
    """
    model = cfg.get('model') or {}
    if 'language_model' in model:  # its heads score words
        return
    scope = cfg.get('default_scope') or 'mmengine'
    heads = [found for path in HEADS for found in _heads(model, path)]
    for stage in stages:
        for path, dataset in datasets(cfg, stage):
            names = listed_classes(dataset, scope)
            for head, count in heads if names else ():
                check_integer(f'{head}.num_classes', count, 1)
                if count != len(names):
                    raise UserError(
                        f'{head}.num_classes={count}, but {path} has {len(names)} classes: set '
                        f'the one to {len(names)}, or {path}.metainfo.classes to {count} names'
                    )


def class_folder(dataset, scope):
    """Directory of the class folders; None where labels come from elsewhere, or it is remote."""
    return image_folder(dataset, scope) if is_labelled(dataset) else None


def image_folder(dataset, scope):
    """As :func:`class_folder`, with labels or without."""
    if not _is_folder_dataset(dataset, scope) or list_file(dataset):
        return None
    prefix = dataset.get('data_prefix') or dataset.get('split') or ''
    prefix = prefix.get('img_path', '') if isinstance(prefix, dict) else prefix
    folder = os.path.join(dataset.get('data_root') or '', prefix)
    return folder if '://' not in folder else None


def is_labelled(dataset):
    """Whether a data set has labels, according to its config."""
    return bool(dataset.get('with_label', True)) and dataset.get('split') != 'test'


def list_file(dataset):
    """Annotation list that a data set reads instead of directories, or ''."""
    data_root = dataset.get('data_root') or ''
    if dataset.get('ann_file'):
        return os.path.join(data_root, dataset['ann_file'])
    # the default of mmpretrain's ``ImageNet``
    implied = os.path.join(data_root, 'meta', f'{dataset.get("split")}.txt')
    return implied if dataset.get('split') and os.path.isfile(implied) else ''


def listed_classes(dataset, scope):
    """Names of the classes (if panoptic: things) in a data set's config or type, or None."""
    given = dataset.get('classes') or (dataset.get('metainfo') or {}).get('classes')
    meta = getattr(dataset_class(dataset, scope), 'METAINFO', None) or {}
    names = given or meta.get('thing_classes') or meta.get('classes')
    return names if isinstance(names, (list, tuple)) else None


def _check_mixed_labels(model, cfg, count):
    """Mixup turns labels into vectors whose length is a setting of the preprocessor."""
    mixes = (model.get('train_cfg') or {}).get('augments')
    preprocessor = model.get('data_preprocessor') or cfg.get('data_preprocessor') or {}
    length = preprocessor.get('num_classes')
    if mixes and length != count:
        raise UserError(
            f'{HEAD}={count}, but labels are mixed as vectors of '
            f'model.data_preprocessor.num_classes={length}: set both to the number of classes'
        )


def _check_equal(folder, names, other, other_names):
    for have, lack, more in (
        (folder, other, set(names) - set(other_names)),
        (other, folder, set(other_names) - set(names)),
    ):
        if more:
            shown = listed((f"'{name}'" for name in sorted(more)), 3)
            raise DataError(
                f"class folders differ: '{have}' has {shown}, which '{lack}' lacks; labels "
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


def _heads(model, path):
    """Yield key and number of classes of the heads at a path; cascades have several."""
    value = model
    for name in path.split('.'):
        value = value.get(name) if isinstance(value, dict) else None
    several = isinstance(value, (list, tuple))
    for index, head in enumerate(value if several else [value]):
        if not isinstance(head, dict) or head.get('class_agnostic') or head.get('type') in OTHER:
            continue
        if 'num_classes' in head:
            yield f'model.{path}[{index}]' if several else f'model.{path}', head['num_classes']


def _is_folder_dataset(dataset, scope):
    """Whether a data set is mmpretrain's ``CustomDataset`` or one built on it."""
    bases = getattr(dataset_class(dataset, scope), '__mro__', ())
    origins = [f'{base.__module__}.{base.__name__}' for base in bases]
    return 'mmpretrain.datasets.custom.CustomDataset' in origins
