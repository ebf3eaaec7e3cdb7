"""A model from a config and a checkpoint."""

import copy

import torch
from mmengine import registry as root
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope

from mmlite import stack
from mmlite.errors import UserError
from mmlite.models.weights import load_exactly
from mmlite.registry import MODELS

from .checks.types import TypeChecker
from .config_file import load_config, merge_options


def init_model(config, weights=None, device='cpu', cfg_options=None, ignore=None):
    """Build the model of a config and load its weights.

    The default scope of the config becomes the current one. SyncBN becomes BN.

    Args:
        config (str | Path | Config | dict): Config file or open config, which stays as it is.
        weights (str | Path, optional): Checkpoint, ``.pth`` or ``.safetensors``, with all weights
            of the model and no others. None leaves the model randomly initialized; no ``init_cfg``
            and no ``load_from`` is followed. Defaults to None.
        device (str | torch.device, optional): None for CUDA where there is a GPU. Defaults to
            ``'cpu'``.
        cfg_options (dict, optional): Overrides, e.g. ``{'model.backbone.drop_path_rate': 0.0}``.
        ignore (str, optional): Prefix of tensors in the file that are not loaded, e.g.
            ``'distill.'``.

    Returns:
        nn.Module: In evaluation mode. ``model.cfg`` is its config, with the overrides;
        ``model.dataset_meta`` is what the checkpoint records of its data set, e.g. ``classes``.

    Raises:
        UserError: The config, an override or the device is wrong.
        CheckpointError: The checkpoint is missing, or not of this model.
    """
    device = as_device(device)
    cfg = open_config(config, cfg_options)
    settings = model_settings(cfg)
    contents = stack.load(weights) if weights else {}
    scope = cfg.get('default_scope') or 'mmengine'
    TypeChecker(scope).walk(settings, 'model', root.MODELS)
    init_default_scope(scope)
    model = revert_sync_batchnorm(MODELS.build(settings))
    if weights:
        load_exactly(model, contents, weights, ignore)
    meta = contents.get('meta') or {}
    # mmdet 2 and mmseg 0 wrote CLASSES and PALETTE beside each other
    recorded = meta.get('dataset_meta') or {k: meta[k] for k in ('CLASSES', 'PALETTE') if k in meta}
    model.dataset_meta = {key.lower(): value for key, value in recorded.items()}
    model.cfg = cfg
    return model.to(device).eval()


def open_config(config, cfg_options=None):
    """Read a config file, or copy an open config; see :func:`init_model`."""
    if not isinstance(config, dict | Config):
        return load_config(config, cfg_options)
    cfg = Config(config) if isinstance(config, dict) else copy.deepcopy(config)
    merge_options(cfg, cfg_options or {})
    return cfg


def model_settings(cfg):
    """Copy the part of a config that its model is built from; a UserError if there is none."""
    if not isinstance(cfg.get('model'), dict) or 'type' not in cfg.model:
        raise UserError(f'{config_name(cfg)} has no model')
    settings = copy.deepcopy(cfg.model)  # the libraries change what they build from
    if cfg.get('data_preprocessor') is not None:  # mmpretrain has it beside the model
        settings.setdefault('data_preprocessor', copy.deepcopy(cfg.data_preprocessor))
    return settings


def config_name(cfg):
    """str: Name of an open config in messages."""
    return f'config {cfg.filename}' if cfg.filename else 'the config'


def as_device(name=None):
    """Device of a name, which defaults to CUDA where there is a GPU; a UserError if it is wrong."""
    name = name or ('cuda' if torch.cuda.is_available() else 'cpu')
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UserError(f'device {name!r} is unknown: use cpu, cuda or cuda:1') from error
    if device.type == 'cuda' and not torch.cuda.is_available():
        raise UserError(f'device {name} needs a GPU, but torch sees none: use cpu')
    if device.type == 'cuda' and (device.index or 0) >= torch.cuda.device_count():
        last = torch.cuda.device_count() - 1
        raise UserError(f'device {name} does not exist: the last GPU is cuda:{last}')
    return device
