"""Checks of plain values that a run would answer with a traceback or a wrong result."""

import math
import multiprocessing
import os
import types
import typing
from collections.abc import Sequence
from numbers import Number

from mmengine.config import ConfigDict

from mmlite.errors import UserError


def integer(least, most=math.inf):
    """Rule for integers of a range, limits included; a float without a fraction is one."""
    words = f'an integer >= {least}' if most == math.inf else f'an integer from {least} to {most}'
    return words, lambda value: _is_number(value) and value % 1 == 0 and least <= value <= most


def one_of(words):
    """Rule for strings; anything else passes."""
    return f'one of {", ".join(words)}', lambda value: not isinstance(value, str) or value in words


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_part(value):
    """Whether a value may be a part of a run: a dict, or an object that a config has built."""
    return not isinstance(value, (str, Number))


def _are_parts(value):
    return isinstance(value, (list, tuple)) and all(map(_is_part, value))


# a rule is what a value must be, in words, and a function that tells; None always passes
DICT = 'a dict', lambda value: isinstance(value, dict)
PART = 'a dict', _is_part
PARTS = 'a list of dicts', _are_parts
PART_OR_PARTS = 'a dict or a list of dicts', lambda v: isinstance(v, dict) or _are_parts(v)
PATH = 'a path', lambda value: isinstance(value, (str, os.PathLike))
FINITE = 'a finite number >= 0', lambda value: _is_number(value) and 0 <= value < math.inf

DICTS = 'model train_cfg val_cfg test_cfg optim_wrapper default_hooks env_cfg randomness'
LISTS = 'val_dataloader test_dataloader param_scheduler val_evaluator test_evaluator'
SETTINGS = {
    **dict.fromkeys([*DICTS.split(), 'train_dataloader', 'auto_scale_lr'], DICT),
    **dict.fromkeys(LISTS.split(), PART_OR_PARTS),
    'custom_hooks': PARTS,
    'train_cfg.max_epochs': integer(1),
    'train_cfg.max_iters': integer(1),
    'train_cfg.val_interval': integer(1),
    'train_cfg.val_begin': integer(0),
    'default_hooks.logger.interval': integer(1),
    'randomness.seed': integer(0, 2**32 - 1),
    'optim_wrapper.optimizer.lr': FINITE,
    'optim_wrapper.optimizer.weight_decay': FINITE,
    'optim_wrapper.clip_grad.max_norm': FINITE,
    'auto_scale_lr.base_batch_size': integer(1),
    'load_from': PATH,
    'work_dir': PATH,
    'log_level': one_of(('DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL')),
    'env_cfg.mp_cfg.mp_start_method': one_of(multiprocessing.get_all_start_methods()),
}
LOADER = {
    'batch_size': integer(1),
    'num_workers': integer(0),
    'prefetch_factor': integer(1),
    **dict.fromkeys(('dataset', 'sampler', 'batch_sampler'), PART),
}
CHOICES = {
    'CocoMetric.metric': one_of(('bbox', 'segm', 'proposal', 'proposal_fast')),
    'IoUMetric.iou_metrics': one_of(('mIoU', 'mDice', 'mFscore')),
}  # class and argument -> rule of the argument, or of each item if it is a list
NAMES = {
    **{int: 'an integer', float: 'a number', bool: 'True or False', str: 'a string'},
    **dict.fromkeys((dict, ConfigDict), 'a dict'),
    **dict.fromkeys((list, tuple, Sequence), 'a list'),
}  # hints of other types are not compared
NOT_A_STRING = (int, float, dict, ConfigDict, list, tuple, Sequence)
NOT_A_NUMBER = (dict, ConfigDict)


def check_value(key, value, rule):
    """Raise a :class:`UserError` for a value that breaks a rule."""
    words, passes = rule
    if value is not None and not passes(value):
        raise UserError(f'{key} must be {words} (got {value!r})')


def check_settings(cfg):
    """Check the values that the runner itself reads; UserError."""
    for key, rule in SETTINGS.items():
        value = cfg
        for name in key.split('.'):
            value = value.get(name) if hasattr(value, 'get') else None
        check_value(key, value, rule)
    for name, hook in (cfg.get('default_hooks') or {}).items():
        check_value(f'default_hooks.{name}', hook, PART)


def check_argument(label, path, key, value, hint):
    """Refuse a value that the class ``label`` which takes it certainly cannot use.

    Only strings, numbers and :data:`CHOICES` are checked: type hints of libraries are often too
    narrow, and a false alarm is worse than a library's own message.
    """
    if rule := CHOICES.get(f'{label}.{key}'):
        for word in value if isinstance(value, (list, tuple)) else [value]:
            check_value(f'{path}.{key}', word, rule)
    # libraries annotate bool arguments that also accept strings, and str ones that accept numbers
    wrong = NOT_A_STRING if isinstance(value, str) else NOT_A_NUMBER
    kinds = [] if hint is None or _is_part(value) else _kinds(hint)
    if kinds and all(kind in wrong for kind in kinds):
        names = ' or '.join(dict.fromkeys(NAMES[kind] for kind in kinds))
        raise UserError(f'{path}.{key} must be {names} (got {value!r})')


def _kinds(hint):
    """Types of :data:`NAMES` that a hint consists of; empty if it has any other."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        found = [_kinds(part) for part in parts if part is not type(None)]
        return sum(found, []) if all(found) else []
    kind = origin or hint
    if kind is Sequence and not (parts and set(parts) <= {int, float, bool, Number}):
        return []  # a string is a sequence, too
    return [kind] if isinstance(kind, type) and kind in NAMES else []


def walk(value, path):
    """Yield key and value of a setting and of all below it, less lists of plain values."""
    yield path, value
    items = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, (list, tuple)) and any(isinstance(v, (dict, list)) for v in value):
        items = enumerate(value)
    for key, child in items:
        yield from walk(child, f'{path}.{key}')
