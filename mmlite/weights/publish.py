"""Strips a training checkpoint to its weights, as safetensors, with its config.

The metadata of a published file, each value as JSON, which :func:`mmlite.stack.load` returns under
``meta``: ``cfg`` (the config as text), ``task``, ``license``, ``weights`` (``'EMA'`` or
``'last'``), ``part`` (``'model'`` or ``'backbone'``), ``mmlite_version``, and where the checkpoint
records them ``backbone`` (its ``describe()``), ``dataset_meta``, ``source``, ``num_heads_from``,
``epoch``, ``iter``, ``seed`` and ``mmengine_version``.
"""

import ast
from pathlib import Path

import torch
from mmengine.config import Config

from mmlite import __version__, stack
from mmlite.errors import CheckpointError, UserError
from mmlite.models.weights import read_weights
from mmlite.utils import write_text

from .files import check_destination, save

FROZEN = ('distill.teacher.', 'target_generator.')
"""Parts of a model that are not trained and have a file of their own: never published."""
KEPT = ('backbone', 'dataset_meta', 'CLASSES', 'PALETTE', 'source', 'num_heads_from', 'epoch',
        'iter', 'seed', 'mmengine_version', 'license')  # fmt: skip
TASKS = {'mmdet': 'detection', 'mmseg': 'segmentation', 'mmpretrain': 'classification'}
RUN_ONLY = ('work_dir', 'launcher', 'resume')
ADDED_HOOKS = ('mmlite.CheckpointFitHook', 'mmlite.FiniteHook', 'mmlite.StopHook')
"""Hooks that the tools add to every run."""


def publish(
    checkpoint, out, cfg=None, license_text=None, backbone_only=False, licence_required=False
):
    """Write the weights of a checkpoint, and its config beside them.

    Where training kept an EMA, mmengine saves it as the ``state_dict``, which is published.

    Args:
        checkpoint (str | Path): A checkpoint of the suite, or any with weights if ``cfg`` is given.
        out (str | Path): ``NAME.safetensors``; the config goes to ``NAME.py``.
        cfg (Config, optional): Defaults to the recorded config, read as data and never run.
        license_text (str, optional): Defaults to the recorded licence, else ``'unknown'``.
        backbone_only (bool): Leave out all but ``backbone.*``.
        licence_required (bool): Refuse a licence that is unknown. Defaults to False.

    Returns:
        tuple[dict[str, Tensor], dict]: Weights and metadata as written.

    Raises:
        UserError: ``out`` is no such name or exists, or the licence is required and unknown.
        CheckpointError: The checkpoint cannot be read, or has no weights or no config.
        OutputError: A file cannot be written.
    """
    out = Path(out)
    check_destination(out, overwrite=True, suffixes=('.safetensors',))
    for path in (out, out.with_suffix('.py')):
        if path.exists():
            raise UserError(f'{path} exists: name another file')
    contents = stack.load(checkpoint)
    recorded = contents.get('meta') or {}
    prefix = 'backbone.' if backbone_only else ''
    weights = {
        key: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)  # no shared storage
        for key, tensor in read_weights(contents, checkpoint).items()
        if key.startswith(prefix) and not key.startswith(FROZEN)
    }
    if not weights:
        raise CheckpointError(f'{checkpoint}: it holds no weights of a backbone')
    cfg = cfg or parse_config(recorded.get('cfg'), checkpoint)
    text = recipe_text(cfg)
    meta = dict(license='unknown') | {key: recorded[key] for key in KEPT if recorded.get(key)}
    meta |= dict(cfg=text, task=_task(cfg), mmlite_version=__version__)
    meta['weights'] = 'EMA' if 'ema_state_dict' in contents else 'last'
    meta['part'] = 'backbone' if backbone_only else 'model'
    if license_text:
        meta['license'] = license_text
    if licence_required and meta['license'] == 'unknown':
        raise UserError(
            f'{checkpoint} records no licence, which others have to know: give --licence'
        )
    write_text(out.with_suffix('.py'), text)
    try:
        save(dict(state_dict=weights, meta=meta), out)
    except BaseException:
        out.with_suffix('.py').unlink()
        raise
    return weights, meta


def parse_config(text, source):
    """Read the config in a checkpoint, lines ``key = value`` of literals and ``dict``, as data."""
    if not isinstance(text, str) or not text.strip():
        raise CheckpointError(f'{source}: it records no config: give --config')
    values = {}
    try:
        for line in ast.parse(text).body:
            if isinstance(line, ast.Assign):
                values[line.targets[0].id] = ast.literal_eval(_Literals().visit(line.value))
            elif not isinstance(getattr(line, 'value', None), ast.Constant):  # a docstring
                raise ValueError(f'line {line.lineno} is not key = value')
    except Exception as error:  # a text can be wrong in any way
        raise CheckpointError(
            f'{source}: the config that it records is not plain data ({error}): give --config'
        ) from error
    return Config(values)


class _Literals(ast.NodeTransformer):
    """Turn ``dict(key=value)``, ``dict({key: value})`` and ``float('inf')`` into literals."""

    def visit_Call(self, node):
        self.generic_visit(node)
        match node:
            case ast.Call(ast.Name('dict'), [ast.Dict() as content], []):
                return content
            case ast.Call(ast.Name('dict'), [], pairs):
                keys = [ast.Constant(pair.arg) for pair in pairs]
                return ast.Dict(keys, [pair.value for pair in pairs])
            case ast.Call(ast.Name('float'), [ast.Constant(number)], []):
                return ast.Constant(float(number))
        return node


def recipe_text(cfg):
    """Config as Python text, without what belongs to one run and hooks that the tools add."""
    kept = {key: value for key, value in cfg.to_dict().items() if key not in RUN_ONLY}
    hooks = kept.pop('custom_hooks', None) or []
    hooks = [h for h in hooks if h.get('type') not in ADDED_HOOKS or h.keys() - {'type', 'whole'}]
    return Config(kept | (dict(custom_hooks=hooks) if hooks else {})).pretty_text


def _task(cfg):
    if str((cfg.get('test_cfg') or {}).get('type')).endswith('SequenceTestLoop'):
        return 'tracking'
    scope = cfg.get('default_scope')
    if scope == 'mmpretrain' and not cfg.get('test_dataloader'):
        return 'pre-training'
    return TASKS.get(scope, 'unknown')
