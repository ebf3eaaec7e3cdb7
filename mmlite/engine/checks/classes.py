"""Checks that data sets agree about their classes, with each other and with the model's heads."""

import itertools
import os

from mmpretrain.datasets import CustomDataset, ImageNet

from mmlite.datasets.subsets import find_classes
from mmlite.errors import DataError, UserError
from mmlite.utils.names import listed

from ..cli import LOCAL_RANKS
from .data import dataset_class, datasets
from .values import check_value, integer

HEAD = 'model.head.num_classes'

DETECTION = ('bbox_head', 'mask_head', 'roi_head.bbox_head', 'roi_head.mask_head')
HEADS = ('head', *DETECTION, 'decode_head', 'auxiliary_head')  # of ``model``: classes of the data
OTHER = ('STDCHead', 'SideAdapterCLIPHead')  # have classes of their own, such as boundaries


def check_classes(cfg, stages):
    """Compare class folders, lists of images, names of classes and ``num_classes`` of heads.

    Labels are positions of class folders in alphabetical order: if training and evaluation have
    different folders, a run goes through and its accuracy means nothing. A head with too few
    classes fails during training, one with too many in the evaluation.

    Raises:
        UserError: A head has another number of classes than a data set or than mixed labels.
        DataError: Data sets have different class folders, a list has a label of no class, or
            a directory has no image.
    """
    model, scope = cfg.get('model') or {}, cfg.get('default_scope') or 'mmengine'
    found = {path: dataset for stage in stages for path, dataset in datasets(cfg, stage)}
    for dataset in found.values():
        _check_images(dataset, scope)
    paths = () if 'language_model' in model else HEADS  # heads beside one score words
    heads = {key: count for path in paths for key, count in _heads(model, path)}
    if not heads:
        return
    if HEAD in heads:
        _check_mixed_labels(model, cfg, heads[HEAD])
    named = _classes_of_folders(found, scope)
    for path, dataset in found.items():
        given = listed_classes(dataset, scope)
        classes = named.get(path) or given or ()
        if given and len(classes) != len(given):
            raise DataError(
                f"'{class_folder(dataset, scope)}' has {len(classes)} class folders, but {path} "
                f"names {len(given)} classes; for data of your own write type='CustomDataset'"
            )
        for head, count in heads.items() if classes else ():
            if count != len(classes):
                other = f', or {path}.metainfo.classes to {count} names' if given else ''
                raise UserError(
                    f'{head}={count}, but {path} has {len(classes)} classes: set {head} to '
                    f'{len(classes)}{other}'
                )
        # one process of a machine reads a list, which may have millions of lines
        if HEAD in heads and os.environ.get(LOCAL_RANKS.get(cfg.get('launcher'), ''), '0') == '0':
            _check_list(dataset, scope, heads[HEAD])


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


def _check_images(dataset, scope):
    """Look for an image in a directory; labelled ones lie in class folders."""
    folder = image_folder(dataset, scope)
    if folder is None:
        return
    labelled, endings = is_labelled(dataset), dataset.get('extensions') or ImageNet.IMG_EXTENSIONS
    for path, _, files in os.walk(folder, followlinks=True):
        below = path != folder or not labelled
        if below and any(file.lower().endswith(tuple(endings)) for file in files):
            return
    where = ' in directories of classes' if labelled else ''
    raise DataError(f'{folder!r} has no image{where} ({", ".join(endings)})')


def _classes_of_folders(found, scope):
    """Names of class folders by the path of a data set; a DataError if they differ."""
    folders = {path: class_folder(dataset, scope) for path, dataset in found.items()}
    folders = {path: folder for path, folder in folders.items() if folder}
    named = {path: find_classes(folder) for path, folder in folders.items()}
    for (one, names), (other, others) in itertools.permutations(named.items(), 2):
        if more := sorted(set(names) - set(others)):
            raise DataError(
                f"class folders differ: '{folders[one]}' has {listed(map(repr, more), 3)}, which "
                f"'{folders[other]}' lacks; labels count the folders in alphabetical order, so "
                'both need the same ones'
            )
    return named


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
                    f"{file}, line {number}: '{label}' is not a label from 0 to {count - 1}, the "
                    f'classes of {HEAD}; a line is PATH LABEL'
                )


def _heads(model, path):
    """Yield key and value of ``num_classes`` of the heads at a path; cascades have several."""
    for name in path.split('.'):
        model = model.get(name) if isinstance(model, dict) else None
    several = isinstance(model, (list, tuple))
    for index, head in enumerate(model if several else [model]):
        count = head.get('num_classes') if isinstance(head, dict) else None
        if count is not None and not head.get('class_agnostic') and head.get('type') not in OTHER:
            key = f'model.{path}.{index}.num_classes' if several else f'model.{path}.num_classes'
            check_value(key, count, integer(1))
            yield key, count


def _is_folder_dataset(dataset, scope):
    kind = dataset_class(dataset, scope)
    return isinstance(kind, type) and issubclass(kind, CustomDataset)
