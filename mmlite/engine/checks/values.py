"""Checks of plain values: text where a class takes a number, and numbers that no run can use."""

import inspect
import multiprocessing
import types
import typing
from collections.abc import Sequence
from numbers import Number

from mmengine.config import ConfigDict
from mmengine.runner import Runner

from mmlite.errors import UserError
from mmlite.utils.names import near_names

LOADER = {'batch_size': 1, 'num_workers': 0, 'prefetch_factor': 1}
"""Whole numbers of a data loader -> the least that works."""

WHOLE = {
    'train_cfg.max_epochs': 1,
    'train_cfg.max_iters': 1,
    'train_cfg.val_interval': 1,
    'train_cfg.val_begin': 0,
    'default_hooks.logger.interval': 1,
    'randomness.seed': 0,
}
"""Whole numbers of a config -> the least that works."""

POSITIVE = (
    'optim_wrapper.optimizer.lr',
    'optim_wrapper.optimizer.weight_decay',
    'optim_wrapper.clip_grad.max_norm',
)
"""Numbers of a config that are not negative."""

CHOICES = {
    'CocoMetric.metric': ('bbox', 'segm', 'proposal', 'proposal_fast'),
    'IoUMetric.iou_metrics': ('mIoU', 'mDice', 'mFscore'),
}
"""Class and argument -> the words that it takes, alone or in a list."""

CONTAINERS = {
    'model': dict,
    'train_cfg': dict,
    'val_cfg': dict,
    'test_cfg': dict,
    'optim_wrapper': dict,
    'default_hooks': dict,
    'env_cfg': dict,
    'randomness': dict,
    'param_scheduler': (dict, list, tuple),
    'custom_hooks': (list, tuple),
    'train_dataloader': dict,
    'val_dataloader': (dict, list, tuple),
    'test_dataloader': (dict, list, tuple),
    'val_evaluator': (dict, list, tuple),
    'test_evaluator': (dict, list, tuple),
}
"""Top-level key -> what its value may be, where there is one."""

NAMES = {
    int: 'a whole number',
    float: 'a number',
    bool: 'True or False',
    str: 'text',
    dict: 'a dict',
    ConfigDict: 'a dict',
    list: 'a list',
    tuple: 'a list',
    Sequence: 'a list',
}
"""What a type is called in messages. A hint with any other type is not compared."""

NO_TEXT = (int, float, dict, ConfigDict, list, tuple, Sequence)
NO_NUMBER = (dict, ConfigDict)
SEEDS = 2**32
LEVELS = ('DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL')


def check_settings(cfg):
    """Check the values that the runner itself reads.

    Args:
        cfg (mmengine.config.Config): A resolved config.

    Raises:
        UserError: Names the key, its value and what it should be.
    """
    check_containers(cfg)
    for key, least in WHOLE.items():
        check_whole(key, _at(cfg, key), least)
    for key in POSITIVE:
        value = _at(cfg, key)
        if value is not None and (not _is_number(value) or value < 0):
            raise UserError(f'{key}={value!r} should be a number of 0 or more')
    for key in ('load_from', 'work_dir'):
        if not isinstance(cfg.get(key), str | None):
            raise UserError(f'{key}={cfg[key]!r} should be a path')
    _check_run(cfg)


def check_containers(cfg):
    """Check that what the runner reads as dicts and lists are such.

    Raises:
        UserError: Names the key, its value and what it should be.
    """
    for key, kinds in CONTAINERS.items():
        value = cfg.get(key)
        if value is not None and not isinstance(value, kinds):
            raise UserError(f'{key}={value!r} should be {_named(kinds)}')
        for item in value if isinstance(value, (list, tuple)) else ():
            if isinstance(item, (str, Number)):
                raise UserError(f'{key} has {item!r}, but should be a list of dicts')
    for name, hook in (cfg.get('default_hooks') or {}).items():
        if isinstance(hook, (str, Number)):
            raise UserError(f'default_hooks.{name}={hook!r} should be a dict')


def _check_run(cfg):
    """Check the seed, the level of the log and how worker processes start."""
    randomness = cfg.get('randomness') or {}
    known = set(inspect.signature(Runner.set_randomness).parameters) - {'self'}
    for key in randomness:
        if key not in known:
            near = near_names(key, known) or sorted(known)
            raise UserError(f'randomness has no {key!r}; did you mean {" or ".join(near)}?')
    if (randomness.get('seed') or 0) >= SEEDS:
        raise UserError(f'randomness.seed={randomness["seed"]} should be below {SEEDS}')
    for key, known in (
        ('log_level', LEVELS),
        ('env_cfg.mp_cfg.mp_start_method', multiprocessing.get_all_start_methods()),
    ):
        value = _at(cfg, key)
        if isinstance(value, str) and value not in known:
            raise UserError(f'{key}={value!r} should be one of {", ".join(known)}')


def check_loader(loader, path):
    """Check the numbers of a data loader, and that its data set and samplers are configs.

    Raises:
        UserError: Names the key, its value and what it should be.
    """
    for key, least in LOADER.items():
        check_whole(f'{path}.{key}', loader.get(key), least)
    for key in ('dataset', 'sampler', 'batch_sampler'):
        if isinstance(loader.get(key), (str, Number)):
            raise UserError(f'{path}.{key}={loader[key]!r} should be a dict')


def check_whole(key, value, least):
    """Refuse anything but None and whole numbers from ``least``.

    Raises:
        UserError: Names the key, its value and what it should be.
    """
    if value is None:
        return
    if not _is_number(value) or value % 1 or value < least:
        raise UserError(f'{key}={value!r} should be a whole number of {least} or more')


def check_argument(label, path, key, value, hint):
    """Refuse a value that the class which takes it certainly cannot use.

    Only text, numbers and single words of :data:`CHOICES` are looked at: hints of libraries are
    often too narrow, and a false alarm is worse than a library's own message.

    Args:
        label (str): Name of the class.
        path (str): Where its config stands.
        key (str): Name of the argument.
        value: As the config has it.
        hint: Type of the argument, None if it is not known.

    Raises:
        UserError: Names the key, its value and what it should be.
    """
    words = CHOICES.get(f'{label}.{key}')
    for word in [value] if isinstance(value, str) else value if words and value else ():
        if words and word not in words:
            near = near_names(str(word), words)
            hint = f'; did you mean {" or ".join(near)}?' if near else ''
            raise UserError(f'{path}.{key}={word!r} should be one of {", ".join(words)}{hint}')
    if hint is None or not isinstance(value, (str, Number)):
        return
    kinds = _kinds(hint)
    # some arguments of a hint or default bool take text, too, and some of text numbers
    wrong = NO_TEXT if isinstance(value, str) else NO_NUMBER
    if kinds and all(kind in wrong for kind in kinds):
        raise UserError(f'{path}.{key}={value!r} should be {_named(kinds)}')


def hint_of(parameter):
    """The type that an ``inspect.Parameter`` takes, from annotation or default; None if unknown."""
    if parameter.annotation is not parameter.empty and not isinstance(parameter.annotation, str):
        return parameter.annotation
    return float if type(parameter.default) in (int, float) else None


def _kinds(hint):
    """Types of :data:`NAMES` that a hint stands for; empty if it has any other."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        found = [_kinds(part) for part in parts if part is not type(None)]
        return [kind for kinds in found for kind in kinds] if all(found) else []
    kind = origin or hint
    if kind is Sequence and not (parts and set(parts) <= {int, float, bool, Number}):
        return []  # text is a sequence, too
    return [kind] if isinstance(kind, type) and kind in NAMES else []


def _named(kinds):
    """What the types are called, each once."""
    kinds = kinds if isinstance(kinds, (list, tuple)) else [kinds]
    return ' or '.join(dict.fromkeys(NAMES[kind] for kind in kinds))


def _at(cfg, key):
    """The value below a dotted key, None without one."""
    for name in key.split('.'):
        cfg = cfg.get(name) if isinstance(cfg, dict) or hasattr(cfg, 'get') else None
    return cfg


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)
