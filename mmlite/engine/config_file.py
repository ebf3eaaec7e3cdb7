"""Config files and ``--cfg-options``; whatever is wrong with them becomes one sentence."""

import difflib
import importlib
import inspect
import json
import traceback
from contextlib import suppress
from pathlib import Path

from mmengine.config import Config
from mmengine.runner import Runner

from mmlite.errors import UserError
from mmlite.utils.names import listed, near_names
from mmlite.utils.paths import suite_path
from mmlite.weights.published import find_named

from .checks.types import registered_name
from .checks.values import check_settings, check_value, integer, one_of, walk
from .overrides import apply_overrides

SUFFIXES = ('.py', '.json', '.yaml', '.yml')

TOP_LEVEL = frozenset(inspect.signature(Runner.__init__).parameters) - {'self', 'cfg', 'launcher'}
TOP_LEVEL |= set(
    'activation_checkpointing compile custom_imports device efficient_conv_bn_eval '
    'find_unused_parameters init_layer_decay make_data model_wrapper_cfg runner_type strategy '
    'sweep_grid sync_bn tta_model tta_pipeline'.split()
)
"""Top-level keys that mmengine or the tools read; any other is a variable of the config."""

USUAL = {
    **dict.fromkeys(('image_size', 'crop_size', 'img_size', 'img_scale', 'imgsz'), '--image-size'),
    **dict.fromkeys(('max_epochs', 'num_epochs', 'total_epochs', 'epochs'), '--epochs'),
    **dict.fromkeys(('max_iters', 'num_iters', 'total_iters', 'iters'), '--iters'),
    **dict.fromkeys(('samples_per_gpu', 'data'), 'train_dataloader.batch_size'),
    'classes': 'train_dataloader.dataset.metainfo.classes',
    'workers_per_gpu': 'train_dataloader.num_workers',
    'runner': 'train_cfg',
    'lr_config': 'param_scheduler',
    'optimizer_config': 'optim_wrapper',
    'checkpoint_config': 'default_hooks.checkpoint',
    'log_config': 'default_hooks.logger',
    'evaluation': 'train_cfg.val_interval',
    'resume_from': '--resume',
    'launcher': '--launcher',
    'fp16': '--amp',
}
"""Names in variables of configs, and in other code bases -> what changes the setting here."""

PACKAGES = ('', 'mmcv', 'mmdet', 'mmengine', 'mmpretrain', 'mmseg')
OURS = {
    'CheckpointHook': 'mmlite.CheckpointHook',
    'CocoDataset': 'mmlite.CocoDataset',
    'CocoMetric': 'mmlite.CocoMetric',
    'EpochBasedTrainLoop': 'mmlite.EpochTrainLoop',
    'IterBasedTrainLoop': 'mmlite.IterTrainLoop',
    'LoadImageFromFile': 'mmlite.LoadImageFromFile',
}
"""Classes of :data:`PACKAGES` -> ours, which resume exactly and judge what they read."""


def load_config(path, options=None):
    """Read a config file with its bases and merge the overrides of the command line.

    Args:
        path (str | Path): Config file, or one of an installed package: ``'mmlite::det/NAME.py'``;
            or a name of published weights, for the config of their model with them as
            ``load_from``.
        options (dict | None): ``--cfg-options``, e.g. ``{'model.backbone.depth': 50}``, and
            ``{'--image-size': 320}``, see :mod:`.overrides`, which is applied first. A config may
            state the latter, too: ``overrides = dict(iters=2000, image_size=320)``.

    Raises:
        UserError: The file or one of its bases is missing or fails; an option does not fit the
            config; or a part of it is not a dict or list.
    """
    if '::' in str(path):
        path = Config._get_cfg_path(str(path), '')[0]
    weights = find_named(path)
    path = model_config(weights) if weights else Path(path)
    try:
        _check_chain(path)
        cfg = Config.fromfile(path)
    except UserError:
        raise
    except Exception as error:  # a config's own code may raise anything
        raise UserError(_describe(path, error)) from error
    _name_types(cfg)
    if weights:
        cfg.load_from = weights.name
    own = cfg._cfg_dict.pop('overrides', None) or {}
    for key, value in own.items():
        check_value('a key of overrides', key, one_of(('epochs', 'iters', 'image_size')))
        check_value(f'overrides.{key}', value, integer(1))
    apply_overrides(cfg, {f'--{key.replace("_", "-")}': value for key, value in own.items()})
    merge_options(cfg, apply_overrides(cfg, options or {}))
    for key in ('default_hooks', 'env_cfg', 'log_level', 'randomness'):
        if cfg.get(key, 0) is None:
            cfg._cfg_dict.pop(key)  # mmengine has a default, and takes no None
    check_settings(cfg)
    _replace_types(cfg)
    return cfg


def model_config(weights):
    """Path of the config of published weights; a UserError if they are of no whole model."""
    if not weights.config or weights.config.startswith('pretrain/'):
        raise UserError(
            f'{weights.name} is an initialization, not a model: give a config and --init '
            f'{weights.name}'
        )
    return suite_path('configs', weights.config)


def _name_types(cfg):
    """Replace classes and their full names as ``type``, as pure-Python configs have, by names."""
    scope = cfg.get('default_scope') or 'mmengine'
    for _, node in walk(cfg._cfg_dict, ''):
        target = node.get('type') if isinstance(node, dict) else None
        if isinstance(target, str) and target.count('.') > 1:
            module, _, leaf = target.rpartition('.')
            with suppress(ImportError):  # mmengine confuses modules and functions of one name
                target = getattr(importlib.import_module(module), leaf, target)
        if callable(target) and (name := registered_name(target, scope)):
            node['type'] = name


def _replace_types(cfg):
    """Replace stock classes by ours."""
    train = cfg.get('train_cfg') or {}
    if 'by_epoch' in train and 'type' not in train:
        train['type'] = 'EpochBasedTrainLoop' if train.pop('by_epoch') else 'IterBasedTrainLoop'
    for _, node in walk(cfg._cfg_dict, ''):
        kind = node.get('type') if isinstance(node, dict) else None
        package, _, name = str(kind).rpartition('.')
        if (package or cfg.get('default_scope')) == 'mmseg' and name == 'LoadAnnotations':
            node['type'] = 'mmlite.LoadSegAnnotations'
        elif package in PACKAGES and name in OURS and 'ignore_empty' not in node:
            node['type'] = OURS[name]


def merge_options(cfg, options):
    """Merge ``--cfg-options`` into ``cfg`` in place; a UserError names one that does not fit."""
    for key, value in options.items():
        check_option(cfg, key)
        try:
            cfg.merge_from_dict({key: value})
        except (KeyError, TypeError, AttributeError) as error:
            reason = str(error.args[0] if error.args else error).split(' in child config')[0]
            raise UserError(
                f'--cfg-options {key}={value} does not fit the config: {_shorten(reason)}'
            ) from error


def check_option(cfg, key):
    """Refuse an option that would change no run, with near names or the settings to change instead.

    Options are merged after the file has run, so a variable of the config has been used by then.
    """
    head = key.split('.')[0]
    if head in TOP_LEVEL or not TOP_LEVEL & cfg.keys():  # a fragment, for configs to inherit from
        return
    leaves = [item for name in sorted(TOP_LEVEL & cfg.keys()) for item in walk(cfg[name], name)]
    if head not in cfg:
        near = [path for path, _ in leaves if path.endswith(f'.{key}')]
        near = near or ([USUAL[head]] if head in USUAL else near_names(head, TOP_LEVEL))
        hint = f'; did you mean {listed(near, 4)}?' if near else ''
        raise UserError(f'{key} is not a setting: nothing reads {head!r}{hint}')
    made = [path for path, value in leaves if _holds(value, cfg[head])]
    hint = f'; settings with its value are {listed(made, 4)}' if made else ''
    option = USUAL.get(head)
    if option:
        hint += f', and {option} changes all of them' if made else f', or use {option}'
    raise UserError(
        f'{head} is a variable of the config, which was used before options are merged: set what '
        f'was made from it instead{hint}'
    )


def _holds(value, variable):
    """Whether a setting equals a variable, or is a size such as ``(640, 640)`` made from it."""
    if type(value) is type(variable):
        return value == variable
    pair = isinstance(value, (list, tuple)) and isinstance(variable, int)
    return pair and len(value) == 2 and all(item == variable for item in value)


def _check_chain(path, named_by=None):
    """Check that ``path`` and every file that it inherits from exist and parse."""
    if not path.is_file():
        origin = f'_base_ of {named_by}' if named_by else 'config'
        if path.is_dir():
            raise UserError(f'{origin} {path} is a directory, not a file')
        raise UserError(f'{origin} not found: {path}{_near_files(path)}')
    if path.suffix not in SUFFIXES:
        raise UserError(f'config {path} must end in one of {", ".join(SUFFIXES)}')
    if path.suffix != '.py':
        return
    try:
        compile(path.read_text(encoding='utf-8'), path, 'exec')
    except SyntaxError as error:
        text = (error.text or '').strip()
        raise UserError(
            f'config {path}, line {error.lineno}: {error.msg}{f": {text}" if text else ""}'
        ) from error
    for base in Config._get_base_files(str(path)):
        # 'pkg::path' lives in an installed package, '{{ }}' is filled in by mmengine.
        if '::' not in base and '{{' not in base:
            _check_chain(path.parent / base, named_by=path)


def _near_files(path):
    """A hint with files of a similar name, in the same directory or else in its siblings."""
    folder = next(parent for parent in path.parents if parent.is_dir())
    for found, cutoff in ((folder.glob('*'), 0.6), (folder.parent.glob('*/*'), 0.8)):
        files = {file.stem: file for file in found if file.suffix in SUFFIXES}
        if names := difflib.get_close_matches(path.stem, files, n=3, cutoff=cutoff):
            return f'; near names: {", ".join(str(files[name]) for name in names)}'
    return ''


def _describe(path, error):
    """One sentence for an exception out of ``Config.fromfile``."""
    if isinstance(error, json.JSONDecodeError):
        return f'config {path} is not valid JSON: {error}'
    place = f'config {path}'
    frames = traceback.extract_tb(error.__traceback__)
    for caller, frame in zip(frames, frames[1:], strict=False):
        if caller.name == '_file2dict' and frame.name == '<module>':
            place = f'config {frame.filename}, line {frame.lineno}'
    reason = error.args[0] if isinstance(error, KeyError) and error.args else error
    return f'{place}: {type(error).__name__}: {_shorten(reason)}'


def _shorten(text, limit=300):
    """First line of ``text``, cut to ``limit`` characters."""
    line = str(text).strip().split('\n')[0]
    return line if len(line) <= limit else f'{line[:limit]} ...'
