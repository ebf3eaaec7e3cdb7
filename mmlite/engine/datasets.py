"""Data sets of a run, judged when they are built: before the first step, in every phase."""

import re
from contextlib import contextmanager
from itertools import permutations

import numpy as np
from mmengine.registry import DATASETS as ROOT
from mmengine.registry import init_default_scope

from mmlite.datasets.bad_samples import as_data_error
from mmlite.datasets.formats.judge import explain, judge_dataset
from mmlite.datasets.wrapped import parts
from mmlite.errors import DataError, UserError
from mmlite.utils.names import listed

from .checks.values import check_value, integer, walk
from .cli import report_errors_once

STAGES = ('train', 'val', 'test')
HEAD = 'model.head.num_classes'
HEADS = re.compile(r'model\.(head|(roi_head\.)?(bbox|mask)_head|(decode|auxiliary)_head)(\.\d+)?')
IGNORING = re.compile(  # what has to know the label of ignored pixels
    r'model\.((decode|auxiliary)_head(\.\d+)?|data_preprocessor)|(val|test)_evaluator(\.\d+)?'
)
OTHER = re.compile('STDCHead|SideAdapterCLIPHead')  # classes of their own, such as boundaries


def judge_loaders(runner):
    """Judge the data set of every data loader that ``runner`` builds; see :func:`judge`."""
    build, seen = runner.build_dataloader, []
    tolerant = bool((runner.cfg.get('train_cfg') or {}).get('max_bad_share'))

    def build_dataloader(dataloader, *args, **kwargs):
        with report_errors_once(runner.cfg.get('launcher', 'none')):
            with readable_errors(dataloader):
                loader = build(dataloader, *args, **kwargs)
            judge(loader.dataset, runner.cfg, seen, tolerant)
        return loader

    runner.build_dataloader = build_dataloader


def judge(dataset, cfg, seen, tolerant=False):
    """Compare a built data set with its files, those ``seen`` before, and the heads of a config.

    Wrappers are looked through. For ``tolerant``, see :func:`judge_dataset`; defaults to False.

    Raises:
        UserError: A head has another number of classes than the data set or than mixed labels.
        DataError: The data set is empty, contradicts its files or one of ``seen``, or has a label
            of no class.
    """
    judge_dataset(dataset, tolerant)
    for part in parts(dataset):
        if len(list(parts(part))) == 1:  # not a wrapper
            check_names(part, seen)
            check_heads(part, cfg)
            check_ignored(part, cfg)
            seen.append(part)


@contextmanager
def readable_errors(dataloader):
    """Turn exceptions of libraries while a data loader is built into a :class:`DataError`."""
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception as error:  # data sets raise whatever they like
        dataset = dataloader.get('dataset') if isinstance(dataloader, dict) else None
        raise explain(dataset or {}, error) from error


def check_names(dataset, seen):
    """Refuse a data set with other class folders than earlier ones, or names in another order."""
    for other in seen:
        pair = other, dataset
        folders = [getattr(each, 'folder_to_idx', {}).keys() for each in pair]
        for has, lacks in permutations(range(2)) if all(folders) else ():
            if more := sorted(folders[has] - folders[lacks]):
                raise DataError(
                    f"class folders differ: '{_place(pair[has])}' has {listed(map(repr, more), 3)},"
                    f" which '{_place(pair[lacks])}' lacks; labels count the folders in "
                    'alphabetical order, so both need the same ones'
                )
        one, two = map(class_names, pair)
        if one != two and set(one) == set(two):
            label = next(label for label, name in enumerate(one) if name != two[label])
            raise DataError(
                f'the classes of two data sets differ: label {label} is {one[label]!r} in '
                f"'{_place(other)}' and {two[label]!r} in '{_place(dataset)}'"
            )


def check_heads(dataset, cfg):
    """Compare the classes of a data set and the labels of its list with the heads of a config."""
    heads, names = dict(_heads(cfg)), class_names(dataset)
    things = dataset.metainfo.get('thing_classes') if names else None
    names = things if things and set(things) <= set(names) else names  # stuff has another head
    for key, count in heads.items() if names else ():
        if count != len(names):
            other = f', or metainfo.classes of the data set to {count} names'
            raise UserError(
                f'{key}={count}, but {type(dataset).__name__} of {_place(dataset)!r} has '
                f'{len(names)} classes ({listed(map(repr, names), 5)}): set {key} to {len(names)}'
                + ('' if hasattr(dataset, 'folder_to_idx') else other)
            )
    if heads.get(HEAD) and isinstance(labels := getattr(dataset, 'labels', None), np.ndarray):
        wrong = np.flatnonzero((labels < 0) | (labels >= heads[HEAD]))
        if len(wrong):
            raise DataError(
                f"{_place(dataset)}, line {wrong[0] + 1}: '{labels[wrong[0]]}' is not a label from "
                f'0 to {heads[HEAD] - 1}, the classes of {HEAD}'
            )


def check_ignored(dataset, cfg):
    """Compare the ignored label of label maps with heads, padding and metrics; all default to 255.

    A loss would take an index out of its range, and a metric would count the pixels.
    """
    if not hasattr(dataset, 'ignore_index'):
        return
    ignored, model = dataset.ignore_index, cfg.get('model') or {}
    for top in ('model', 'val_evaluator', 'test_evaluator'):
        settings = model.get('module', model) if top == 'model' else cfg.get(top)
        for path, item in walk(settings, top):
            if not IGNORING.fullmatch(path) or not isinstance(item, dict):
                continue
            if top != 'model' and 'IoUMetric' not in str(item.get('type')):
                continue
            key = 'seg_pad_val' if path.endswith('processor') else 'ignore_index'
            if item.get(key, 255) != ignored:
                raise UserError(
                    f'{path}.{key}={item.get(key, 255)}, but {type(dataset).__name__} of '
                    f'{_place(dataset)!r} ignores the label {ignored}: set both to one value'
                )


def class_names(dataset):
    """Names of the classes of a built data set as a list; empty where it has none."""
    names = (getattr(dataset, 'metainfo', None) or {}).get('classes')
    return list(names) if isinstance(names, (list, tuple)) else []


def _place(dataset):
    """Annotation file of a data set, or else its directory of images."""
    prefixes = (getattr(dataset, 'data_prefix', None) or {}).values()
    return getattr(dataset, 'ann_file', '') or next(iter(prefixes), '').rstrip('/')


def _heads(cfg):
    """Yield key and ``num_classes`` of the heads that predict the classes of the data.

    They are read from the config: some heads do not keep the number, others have one of their own.
    """
    model = cfg.get('model') or {}
    model = model.get('module', model)  # with --tta
    for path, head in walk(model, 'model') if 'language_model' not in model else ():
        head = head if HEADS.fullmatch(path) and isinstance(head, dict) else {}
        key, count = f'{path}.num_classes', head.get('num_classes')
        if count is None or head.get('class_agnostic') or OTHER.search(str(head.get('type'))):
            continue
        check_value(key, count, integer(1))
        if key == HEAD and (model.get('train_cfg') or {}).get('augments'):
            preprocessor = model.get('data_preprocessor') or cfg.get('data_preprocessor') or {}
            if (length := preprocessor.get('num_classes')) != count:
                raise UserError(
                    f'{HEAD}={count}, but labels are mixed as vectors of model.data_preprocessor.'
                    f'num_classes={length}: set both to the number of classes'
                )
        yield key, count


def judged(cfg, stages=STAGES):
    """Build the data sets of a config and :func:`judge` them; yields stage and data set."""
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    seen = []
    for stage in stages:
        loader = cfg.get(f'{stage}_dataloader')
        if loader:
            with readable_errors(loader):
                dataset = ROOT.build(loader['dataset'])
            judge(dataset, cfg, seen)
            yield stage, dataset


def judge_config(cfg):
    """Build and judge the data sets of a config, and load every sample.

    Args:
        cfg (mmengine.config.Config): A resolved config.

    Yields:
        str: A line for each data set.

    Raises:
        UserError: The first fault.
    """
    for stage, dataset in judged(cfg):
        for index in range(len(dataset)):
            try:
                dataset[index]
            except Exception as error:
                raise as_data_error(f'{stage} sample {index}', error) from error
        yield f'{stage}: {len(dataset)} samples load, {len(class_names(dataset))} classes'
