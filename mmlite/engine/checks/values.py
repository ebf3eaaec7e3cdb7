"""Checks of plain values that a run would answer with a traceback or a wrong result."""

import inspect
import multiprocessing
import types
import typing
from collections.abc import Sequence
from numbers import Number

from mmengine.config import ConfigDict
from mmengine.runner import Runner

from mmlite.errors import UserError
from mmlite.utils import near_names

INTEGERS = {
    'train_cfg.max_epochs': 1,
    'train_cfg.max_iters': 1,
    'train_cfg.val_interval': 1,
    'train_cfg.val_begin': 0,
    'default_hooks.logger.interval': 1,
    'randomness.seed': 0,
}  # -> the least that works
LOADER_INTEGERS = {'batch_size': 1, 'num_workers': 0, 'prefetch_factor': 1}
FLOATS = ('optimizer.lr', 'optimizer.weight_decay', 'clip_grad.max_norm')  # of optim_wrapper, >= 0
CHOICES = {
    'CocoMetric.metric': ('bbox', 'segm', 'proposal', 'proposal_fast'),
    'IoUMetric.iou_metrics': ('mIoU', 'mDice', 'mFscore'),
}  # class and argument -> the words that it takes, alone or in a list
DICTS = ('model', 'train_cfg', 'val_cfg', 'test_cfg', 'optim_wrapper', 'default_hooks', 'env_cfg')
LISTS = ('val_dataloader', 'test_dataloader', 'param_scheduler', 'val_evaluator', 'test_evaluator')
CONTAINERS = {
    **dict.fromkeys((*DICTS, 'randomness', 'train_dataloader'), dict),
    **dict.fromkeys(LISTS, (dict, list, tuple)),
    'custom_hooks': (list, tuple),
}
NAMES = {
    **{int: 'an integer', float: 'a number', bool: 'True or False', str: 'a string'},
    **dict.fromkeys((dict, ConfigDict), 'a dict'),
    **dict.fromkeys((list, tuple, Sequence), 'a list'),
}  # hints of other types are not compared
NOT_A_STRING = (int, float, dict, ConfigDict, list, tuple, Sequence)
NOT_A_NUMBER = (dict, ConfigDict)
SEEDS = 2**32
LEVELS = ('DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL')


def check_settings(cfg):
    """Check the values that the runner itself reads; UserError."""
    check_containers(cfg)
    for key, least in INTEGERS.items():
        check_integer(key, _get(cfg, key), least)
    for key in [f'optim_wrapper.{key}' for key in FLOATS]:
        value = _get(cfg, key)
        if value is not None and (not _is_number(value) or value < 0):
            raise UserError(f'{key} must be a number >= 0 (got {value!r})')
    for key in ('load_from', 'work_dir'):
        if not isinstance(cfg.get(key), str | None):
            raise UserError(f'{key} must be a path (got {cfg[key]!r})')
    randomness = cfg.get('randomness') or {}
    known = set(inspect.signature(Runner.set_randomness).parameters) - {'self'}
    for key in randomness:
        if key not in known:
            near = near_names(key, known) or sorted(known)
            raise UserError(f'randomness has no {key!r}; did you mean {" or ".join(near)}?')
    if (randomness.get('seed') or 0) >= SEEDS:
        raise UserError(f'randomness.seed must be below {SEEDS} (got {randomness["seed"]})')
    methods = multiprocessing.get_all_start_methods()
    for key, known in (('log_level', LEVELS), ('env_cfg.mp_cfg.mp_start_method', methods)):
        value = _get(cfg, key)
        if isinstance(value, str) and value not in known:
            raise UserError(f'{key} must be one of {", ".join(known)} (got {value!r})')


def check_containers(cfg):
    """Check that dicts and lists which the runner reads are such; UserError."""
    for key, kinds in CONTAINERS.items():
        value = cfg.get(key)
        if value is not None and not isinstance(value, kinds):
            raise UserError(f'{key} must be {_named(kinds)} (got {value!r})')
        for item in value if isinstance(value, (list, tuple)) else ():
            if isinstance(item, (str, Number)):
                raise UserError(f'{key} must be a list of dicts (got {item!r} in it)')
    for name, hook in (cfg.get('default_hooks') or {}).items():
        if isinstance(hook, (str, Number)):
            raise UserError(f'default_hooks.{name} must be a dict (got {hook!r})')


def check_loader(loader, path):
    """Check the integers of a data loader, and that its data set and samplers are dicts."""
    for key, least in LOADER_INTEGERS.items():
        check_integer(f'{path}.{key}', loader.get(key), least)
    for key in ('dataset', 'sampler', 'batch_sampler'):
        if isinstance(loader.get(key), (str, Number)):
            raise UserError(f'{path}.{key} must be a dict (got {loader[key]!r})')


def check_integer(key, value, least):
    """Raise a :class:`UserError` for anything but None and integers from ``least``."""
    if value is not None and (not _is_number(value) or value % 1 or value < least):
        raise UserError(f'{key} must be an integer >= {least} (got {value!r})')


def check_argument(label, path, key, value, hint):
    """Refuse a value that the class which takes it certainly cannot use.

    Only strings, numbers and :data:`CHOICES` are checked: type hints of libraries are often too
    narrow, and a false alarm is worse than a library's own message.
    """
    words = CHOICES.get(f'{label}.{key}')
    for word in [value] if isinstance(value, str) else value if words and value else ():
        if words and word not in words:
            raise UserError(f'{path}.{key} must be one of {", ".join(words)} (got {word!r})')
    if hint is None or not isinstance(value, (str, Number)):
        return
    kinds = _kinds(hint)
    # libraries annotate bool arguments that also accept strings, and str ones that accept numbers
    wrong = NOT_A_STRING if isinstance(value, str) else NOT_A_NUMBER
    if kinds and all(kind in wrong for kind in kinds):
        raise UserError(f'{path}.{key} must be {_named(kinds)} (got {value!r})')


def hint_of(parameter):
    """Type of an ``inspect.Parameter`` by annotation or default; None if unknown."""
    if parameter.annotation is not parameter.empty and not isinstance(parameter.annotation, str):
        return parameter.annotation
    return float if type(parameter.default) in (int, float) else None


def _kinds(hint):
    """Types of :data:`NAMES` that a hint consists of; empty if it has any other."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        found = [_kinds(part) for part in parts if part is not type(None)]
        return [kind for kinds in found for kind in kinds] if all(found) else []
    kind = origin or hint
    if kind is Sequence and not (parts and set(parts) <= {int, float, bool, Number}):
        return []  # a string is a sequence, too
    return [kind] if isinstance(kind, type) and kind in NAMES else []


def _named(kinds):
    kinds = kinds if isinstance(kinds, (list, tuple)) else [kinds]
    return ' or '.join(dict.fromkeys(NAMES[kind] for kind in kinds))


def _get(cfg, key):
    """Value of a dotted key, None without one."""
    for name in key.split('.'):
        cfg = cfg.get(name) if isinstance(cfg, dict) or hasattr(cfg, 'get') else None
    return cfg


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)
