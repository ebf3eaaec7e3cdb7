"""Checks that the data sets and checkpoints which a config names exist."""

import os
import re
from pathlib import Path

from mmengine import registry as root

from mmlite.errors import CheckpointError, DataError, UserError
from mmlite.utils import near_names

from .signatures import accepted_keys
from .types import find


def check_data(cfg, stages):
    """Look for data roots, image directories and annotation files of the data sets in use.

    Raises:
        DataError: Names the missing path, its key, and how to set it or make it (``make_data``).
        UserError: A metric reads other annotations than the data set whose images are predicted.
    """
    scope, make = cfg.get('default_scope') or 'mmengine', cfg.get('make_data')
    for stage in stages:
        for path, dataset in datasets(cfg, stage):
            _check_dataset(dataset, path, scope, make)
        _check_evaluator(cfg, stage, make)


def _check_evaluator(cfg, stage, make):
    """Look for the annotation files of metrics, which must be those of the data set."""
    evaluator, key = cfg.get(f'{stage}_evaluator'), f'{stage}_evaluator.ann_file'
    for metric in evaluator if isinstance(evaluator, (list, tuple)) else [evaluator]:
        file = metric.get('ann_file') if isinstance(metric, dict) else None
        if isinstance(file, str) and file and is_local(file, metric):
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


def datasets(cfg, stage):
    """Yield every data set of a stage, without wrappers, as path in the config and dict."""
    loader = cfg.get(f'{stage}_dataloader')
    loaders = loader if isinstance(loader, (list, tuple)) else [loader]
    for index, item in enumerate(loaders):
        if isinstance(item, dict):
            path = f'{stage}_dataloader' + (f'[{index}]' if item is not loader else '')
            yield from _innermost(item.get('dataset'), f'{path}.dataset')


def _innermost(dataset, path):
    if isinstance(dataset, (list, tuple)):
        for index, item in enumerate(dataset):
            yield from _innermost(item, f'{path}[{index}]')
    elif isinstance(dataset, dict):
        inner = [key for key in ('dataset', 'datasets') if key in dataset]
        for key in inner:
            yield from _innermost(dataset[key], f'{path}.{key}')
        if not inner:
            yield path, dataset


def _check_dataset(dataset, path, scope, make):
    downloads = 'download' in accepted_keys(dataset_class(dataset, scope)).names  # as of CIFAR
    if downloads or not is_local('', dataset):
        return
    data_root = dataset.get('data_root') or ''
    if not isinstance(data_root, (str, os.PathLike)):
        raise UserError(f'{path}.data_root must be a path (got {data_root!r})')
    if '://' in str(data_root):
        return
    if data_root:
        _need(data_root, f'{path}.data_root', f'{path}.data_root', make)
    names = (dataset.get('metainfo') or {}).get('classes')
    if isinstance(names, str) and not os.path.isfile(names):
        raise UserError(f'{path}.metainfo.classes must be a list of names (got {names!r})')
    prefixes = dataset.get('data_prefix') or {}
    named = {'data_prefix': prefixes} if isinstance(prefixes, str) else {
        f'data_prefix.{key}': value for key, value in prefixes.items()
    }  # fmt: skip
    for key, value in {'ann_file': dataset.get('ann_file'), **named}.items():
        if isinstance(value, str) and value and '://' not in value:
            option = f'{path}.data_root' if data_root else f'{path}.{key}'
            kind = 'file' if key == 'ann_file' else 'directory'
            _need(os.path.join(data_root, value), f'{path}.{key}', option, make, kind)


def is_local(file, cfg):
    """Whether files are read from this machine's disk."""
    backend = (cfg.get('backend_args') or {}).get('backend', 'local')
    return backend in ('local', 'disk') and '://' not in file


def dataset_class(dataset, scope):
    """Class of a data set by its config, or None."""
    name, scope = dataset.get('type'), dataset.get('_scope_', scope)
    return find(name, root.DATASETS, scope) if isinstance(name, str) else name


def _need(file, key, option, make, kind=None):
    """Raise a :class:`DataError` unless ``file`` exists and is a ``kind``, if that is given."""
    if not os.path.exists(file):
        option = re.sub(r'\[(\d+)\]', r'.\1', option)  # as --cfg-options writes items of a list
        remedy = f'make it by: {make}' if make else (
            f'put the data there or add --cfg-options {option}=PATH'
        )  # fmt: skip
        raise DataError(f'{key} is {str(file)!r}, which does not exist; {remedy}')
    if kind == 'file' and os.path.isdir(file):
        raise DataError(f'{key} is {file!r}, which is a directory, not a file of annotations')
    if kind == 'directory' and os.path.isfile(file) and not file.endswith('.zip'):
        raise DataError(f'{key} is {file!r}, which is not a directory')


def check_checkpoints(cfg, phase):
    """Raise a :class:`CheckpointError` for a missing checkpoint that the config loads."""
    if cfg.get('load_from'):
        _need_checkpoint(cfg.load_from, 'load_from')
    if phase == 'train' and not cfg.get('resume'):
        _check_pretrained(cfg.get('model'), 'model')


def _check_pretrained(value, path):
    if isinstance(value, (list, tuple)):
        for index, child in enumerate(value):
            _check_pretrained(child, f'{path}[{index}]')
    elif isinstance(value, dict):
        if value.get('type') == 'Pretrained' and isinstance(value.get('checkpoint'), str):
            _need_checkpoint(value['checkpoint'], f'{path}.checkpoint')
        for key, child in value.items():
            _check_pretrained(child, f'{path}.{key}')


def _need_checkpoint(file, key):
    path = Path(file)
    if '://' in str(file):
        return
    if path.is_file():
        if not path.stat().st_size:
            raise CheckpointError(f'checkpoint {key}={str(file)!r} is empty')
        return
    if path.is_dir():
        raise CheckpointError(f'checkpoint {key}={str(file)!r} is a directory, not a file')
    near = near_names(path.name, [p.name for p in path.parent.glob('*.*')])
    hint = f'; near names in {path.parent}: {", ".join(near)}' if near else ''
    raise CheckpointError(f'checkpoint {key}={str(file)!r} does not exist{hint}')
