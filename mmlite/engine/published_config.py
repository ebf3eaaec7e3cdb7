"""The config of a checkpoint: read as data, and written without what belongs to one run only."""

import ast

from mmengine.config import Config

from mmlite.errors import CheckpointError

from .launch import TRAIN_HOOKS

RUN_ONLY = ('work_dir', 'launcher', 'resume')
"""Keys of a run rather than of a recipe."""

ADDED_HOOKS = (
    dict(type='mmlite.CheckpointFitHook', whole=True),
    dict(type='mmlite.CheckpointFitHook', whole=False),
    *(dict(type=kind) for kind in TRAIN_HOOKS),
)
"""What the tools add to ``custom_hooks`` of every run."""


def parse_config(text):
    """The values of a config text as mmengine writes it into checkpoints; nothing in it is run.

    Args:
        text (str | None): Lines ``key = value``, each value of literals and ``dict(key=value)``.

    Returns:
        dict: Key -> value.

    Raises:
        CheckpointError: If there is no text, or it is anything else than that.
    """
    if not isinstance(text, str) or not text.strip():
        raise CheckpointError('it records no config: give --config')
    try:
        return {
            _name(node): _value(node.value) for node in ast.parse(text).body if not _is_doc(node)
        }
    except _NoData as error:
        raise CheckpointError(
            f'line {error.args[0]} of the config that it records is no plain data: give --config'
        ) from error
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise CheckpointError(
            f'the config that it records is no valid Python ({error}): give --config'
        ) from error


def recipe_text(cfg):
    """str: A config as Python text, without :data:`RUN_ONLY` and :data:`ADDED_HOOKS`."""
    kept = {key: value for key, value in cfg.to_dict().items() if key not in RUN_ONLY}
    hooks = kept.get('custom_hooks')
    if hooks:
        kept['custom_hooks'] = [hook for hook in hooks if hook not in ADDED_HOOKS]
        if not kept['custom_hooks']:
            del kept['custom_hooks']
    return Config(kept).pretty_text


class _NoData(Exception):
    """A line that is no plain data."""


def _is_doc(node):
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _name(node):
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target = node.targets[0]
        if isinstance(target, ast.Name):
            return target.id
    raise _NoData(node.lineno)


def _value(node):
    if isinstance(node, ast.Dict):
        if None in node.keys:
            raise _NoData(node.lineno)
        return {_value(k): _value(v) for k, v in zip(node.keys, node.values, strict=True)}
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        kind = {ast.List: list, ast.Tuple: tuple, ast.Set: set}[type(node)]
        return kind(_value(item) for item in node.elts)
    if isinstance(node, ast.Call):
        return _called(node)
    try:
        return ast.literal_eval(node)
    except ValueError as error:
        raise _NoData(node.lineno) from error


def _called(node):
    """``dict(a=1)``, ``set()``, and ``float('inf')``, which has no literal."""
    name = node.func.id if isinstance(node.func, ast.Name) else None
    keys = [keyword.arg for keyword in node.keywords]
    if name == 'dict' and not node.args and None not in keys:
        return {keyword.arg: _value(keyword.value) for keyword in node.keywords}
    if name == 'set' and not node.args and not keys:
        return set()
    if name == 'float' and len(node.args) == 1 and not keys:
        return float(_value(node.args[0]))
    raise _NoData(node.lineno)
