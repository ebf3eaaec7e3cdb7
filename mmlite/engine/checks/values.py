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
    """Rule for words, or the integers that stand for them."""
    return f'one of {", ".join(words)}', lambda value: isinstance(value, int) or value in words


def or_none(rule):
    """Rule that None passes, too."""
    return rule[0], lambda value: value is None or rule[1](value)


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_part(value):
    """Whether a value may be a part of a run: a dict, or an object that a config has built."""
    return not isinstance(value, (str, Number))


def _are_parts(value):
    return isinstance(value, (list, tuple)) and all(map(_is_part, value))


# a rule is what a value must be, in words, and a function that tells
DICT = or_none(('a dict', lambda value: isinstance(value, dict)))
PART = 'a dict', _is_part
PARTS = or_none(('a list of dicts', _are_parts))
PART_OR_PARTS = or_none(
    ('a dict or a list of dicts', lambda value: isinstance(value, dict) or _are_parts(value))
)
BOOL = or_none(('True or False', lambda value: isinstance(value, bool)))
PATH = or_none(('a path', lambda value: isinstance(value, (str, os.PathLike))))
FINITE = 'a finite number >= 0', lambda value: _is_number(value) and 0 <= value < math.inf

DICTS = 'model train_cfg val_cfg test_cfg optim_wrapper default_hooks env_cfg randomness'
LISTS = 'val_dataloader test_dataloader param_scheduler val_evaluator test_evaluator'
BOOLS = 'find_unused_parameters env_cfg.cudnn_benchmark auto_scale_lr.enable'
SETTINGS = {
    **dict.fromkeys([*DICTS.split(), 'train_dataloader', 'auto_scale_lr'], DICT),
    **dict.fromkeys(LISTS.split(), PART_OR_PARTS),
    **dict.fromkeys(BOOLS.split(), BOOL),
    'compile': or_none(('True, False or a dict', lambda value: isinstance(value, (bool, dict)))),
    'resume': or_none(one_of(('True', 'False', 'auto'))),
    'custom_hooks': PARTS,
    'train_cfg.max_epochs': integer(1),
    'train_cfg.max_iters': integer(1),
    'train_cfg.val_interval': integer(1),
    'train_cfg.val_begin': integer(0),
    'default_hooks.logger.interval': integer(1),
    'randomness.seed': or_none(integer(0, 2**32 - 1)),
    'optim_wrapper.optimizer': ('a dict', lambda value: value is not None),
    'optim_wrapper.optimizer.lr': FINITE,
    'optim_wrapper.optimizer.weight_decay': FINITE,
    'optim_wrapper.clip_grad.max_norm': or_none(FINITE),
    'auto_scale_lr.base_batch_size': or_none(integer(1)),
    'load_from': PATH,
    'work_dir': PATH,
    'log_level': one_of(('DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL')),
    'env_cfg.mp_cfg.mp_start_method': or_none(one_of(multiprocessing.get_all_start_methods())),
}
LOADER = {
    'batch_size': or_none(integer(1)),
    'num_workers': integer(0),
    'prefetch_factor': or_none(integer(1)),
    'dataset': ('a dict', lambda value: value is not None and _is_part(value)),
    **dict.fromkeys(('sampler', 'batch_sampler'), PART),
}
CHOICES = {
    'CocoMetric.ann_file': ('a path', lambda value: value is not None),
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
    if not passes(value):
        raise UserError(f'{key} must be {words} (got {value!r})')


def check_settings(cfg):
    """Check the values that the runner itself reads; UserError."""
    for key, rule in SETTINGS.items():
        *parents, name = key.split('.')
        owner = cfg
        for parent in parents:
            owner = owner.get(parent) if hasattr(owner, 'get') else None
        if hasattr(owner, 'get') and name in owner:
            check_value(key, owner[name], rule)
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
