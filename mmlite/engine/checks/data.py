"""Checks that the data sets and checkpoints which a config names exist."""

import os
from pathlib import Path

from mmengine import registry as root

from mmlite.errors import CheckpointError, DataError, UserError
from mmlite.utils import near_names
from mmlite.weights.published import find_named

from .signatures import accepted_keys
from .types import find
from .values import PATH, check_value, walk


def check_data(cfg, stages):
    """Look for data roots, image directories and annotation files of the data sets in use."""
    scope, make = cfg.get('default_scope') or 'mmengine', cfg.get('make_data')
    for stage in stages:
        for path, dataset in datasets(cfg, stage):
            _check_dataset(dataset, path, scope, make)
        _check_evaluator(cfg, stage, make)


def datasets(cfg, stage):
    """Yield every data set of a stage, without wrappers, as path in the config and dict."""
    key = f'{stage}_dataloader'
    loaders = cfg.get(key)
    if isinstance(loaders, dict):
        yield from _innermost(loaders, key)
    elif loaders:
        for index, loader in enumerate(loaders):
            yield from _innermost(loader, f'{key}.{index}')


def _innermost(outer, path):
    """Data sets in the config of a loader or wrapper."""
    for key in ('dataset', 'datasets'):
        inner = outer.get(key)
        several = isinstance(inner, (list, tuple))
        for index, dataset in enumerate(inner if several else [inner]):
            place = f'{path}.{key}.{index}' if several else f'{path}.{key}'
            if isinstance(dataset, dict) and {'dataset', 'datasets'} & dataset.keys():
                yield from _innermost(dataset, place)
            elif isinstance(dataset, dict):
                yield place, dataset


def _check_dataset(dataset, path, scope, make):
    downloads = 'download' in accepted_keys(dataset_class(dataset, scope)).names  # as of CIFAR
    data_root = dataset.get('data_root') or ''
    check_value(f'{path}.data_root', data_root, PATH)
    if downloads or not is_local(data_root, dataset):
        return
    if data_root:
        _need(data_root, f'{path}.data_root', f'{path}.data_root', make)
    names = (dataset.get('metainfo') or {}).get('classes')
    if isinstance(names, str) and not os.path.isfile(names):
        raise UserError(f'{path}.metainfo.classes must be a list of names (got {names!r})')
    prefixes = dataset.get('data_prefix') or {}
    files = {'ann_file': dataset.get('ann_file')}
    if isinstance(prefixes, str):
        files['data_prefix'] = prefixes
    else:
        files |= {f'data_prefix.{key}': value for key, value in prefixes.items()}
    for key, value in files.items():
        if isinstance(value, str) and value and '://' not in value:
            option = f'{path}.data_root' if data_root else f'{path}.{key}'
            kind = 'file' if key == 'ann_file' else 'directory'
            _need(os.path.join(data_root, value), f'{path}.{key}', option, make, kind)


def _check_evaluator(cfg, stage, make):
    """Look for the annotation files of metrics, which must be those of the data set."""
    evaluator, key = cfg.get(f'{stage}_evaluator'), f'{stage}_evaluator.ann_file'
    for metric in evaluator if isinstance(evaluator, (list, tuple)) else [evaluator]:
        file = metric.get('ann_file') if isinstance(metric, dict) else None
        if not isinstance(file, str) or not file or not is_local(file, metric):
            continue
        _need(file, key, key, make, 'file')
        read = [
            os.path.join(dataset.get('data_root') or '', dataset.get('ann_file') or '')
            for _, dataset in datasets(cfg, stage)
        ]
        if len(read) == 1 and os.path.isfile(read[0]) and not os.path.samefile(file, read[0]):
            raise UserError(
                f'{key} is {file!r}, but the predictions are for {read[0]!r}: give '
                f'{stage}_dataloader.dataset.ann_file and {key} the same file'
            )


def is_local(file, cfg):
    """Whether a file is read from this machine's disk."""
    backend = (cfg.get('backend_args') or {}).get('backend', 'local')
    return backend in ('local', 'disk') and '://' not in str(file)


def dataset_class(dataset, scope):
    """Class of a data set by its config, or None."""
    name, scope = dataset.get('type'), dataset.get('_scope_', scope)
    return find(name, root.DATASETS, scope) if isinstance(name, str) else name


def _need(file, key, option, make, kind=None):
    """Raise a :class:`DataError` unless ``file`` exists and is a ``kind``, if that is given."""
    if not os.path.exists(file):
        remedy = f'put the data there or add --cfg-options {option}=PATH'
        remedy = f'make it by: {make}' if make else remedy
        raise DataError(f'{key} is {str(file)!r}, which does not exist; {remedy}')
    if kind == 'file' and os.path.isdir(file):
        raise DataError(f'{key} is {file!r}, which is a directory, not a file of annotations')
    if kind == 'directory' and os.path.isfile(file) and not file.endswith('.zip'):
        raise DataError(f'{key} is {file!r}, which is not a directory')


def check_checkpoints(cfg, phase):
    """Raise a :class:`CheckpointError` for a missing checkpoint that the config loads."""
    files = {'load_from': cfg.get('load_from')}
    if phase == 'train' and not cfg.get('resume'):
        for path, value in walk(cfg.get('model'), 'model'):
            if isinstance(value, dict) and value.get('type') == 'Pretrained':
                files[f'{path}.checkpoint'] = value.get('checkpoint')
    for key, file in files.items():
        if not isinstance(file, str) or not file or '://' in file or os.path.isfile(file):
            continue
        if find_named(file):
            continue
        if os.path.isdir(file):
            raise CheckpointError(f'checkpoint {key}={file!r} is a directory, not a file')
        folder, name = Path(file).parent, Path(file).name
        near = near_names(name, [path.name for path in folder.glob('*.*')])
        hint = f'; near names in {folder}: {", ".join(near)}' if near else ''
        raise CheckpointError(f'checkpoint {key}={file!r} does not exist{hint}')
