"""From a config and weights, or one file that holds both, to a network that tracks."""

from pathlib import Path

from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmlite.engine.config_file import load_config
from mmlite.engine.convert.files import save
from mmlite.errors import UserError
from mmlite.registry import MODELS

from .common import as_device, load_exactly, read_checkpoint
from .onnx_tracker import ONNXTrackerNetwork

KEPT = Path(__file__).with_name('weights')
"""Trackers that come with the suite: ``<name>.safetensors``, each with its model's config."""


def load_network(config, weights=None, device=None):
    """Build a tracker, load its weights and put it into evaluation mode.

    Args:
        config (str | Path | Config): A config file or an open config; a ``.safetensors`` or
            ``.pth`` file of :func:`save_tracker`, or a ``.onnx`` file of
            ``tools/deploy/export_tracker.py``, which need no config; or the name of a tracker that
            comes with the suite, see :func:`known_names`.
        weights (str | Path, optional): Checkpoint, where ``config`` is a config. Defaults to its
            ``load_from``.
        device (str | torch.device, optional): Defaults to CUDA where there is a GPU; ``.onnx``
            files run on the CPU.

    Returns:
        nn.Module | ONNXTrackerNetwork: Has what
        :class:`~mmlite.engine.online_tracker.Network` lists.

    Raises:
        UserError: If the config, the device or the weights are missing or wrong.
        CheckpointError: If the weights are not exactly those of the model.
    """
    if str(config).endswith('.onnx') and not isinstance(config, Config):
        if weights or as_device(device or 'cpu').type != 'cpu':
            raise UserError(f'{config} has its own weights and runs on the CPU: give it alone')
        return ONNXTrackerNetwork(config)
    device = as_device(device)
    if not isinstance(config, Config):
        config = _find(str(config), weights)
    if isinstance(config, Config):
        weights = weights or config.get('load_from')
        if not weights:
            raise UserError('no weights are given: a tracker needs the checkpoint of its training')
        contents = read_checkpoint(weights)
    else:
        weights, contents = config, read_checkpoint(config)
        config = Config(dict(model=(contents.get('meta') or {}).get('model')))
    if not isinstance(config.get('model'), dict):
        raise UserError(f'{weights} has no config of its model in it: give the config, too')
    init_default_scope(config.get('default_scope', 'mmlite'))
    model = MODELS.build(config.model)
    for name in ('embed_template', 'locate'):
        if not hasattr(model, name):
            raise UserError(f'{type(model).__name__} is no tracker: it has no {name}()')
    load_exactly(model, contents, weights)
    return model.to(device).eval()


def save_tracker(config, weights, path, half=True, overwrite=False):
    """Write a tracker as one file: weights and the config of the model.

    Args:
        config (str | Path | Config): See :func:`load_network`.
        weights (str | Path): Checkpoint of its training.
        path (str | Path): ``.safetensors`` or ``.pth``.
        half (bool): Round floating-point weights to half precision. Defaults to True.
        overwrite (bool): Replace an existing file. Defaults to False.

    Raises:
        UserError, CheckpointError: As :func:`load_network`, or if the file cannot be written.
    """
    config = config if isinstance(config, Config) else load_config(config)
    model = load_network(config, weights, 'cpu')
    state = model.state_dict()
    if half:
        state = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    meta = dict(model=config.model.to_dict())
    if hasattr(getattr(model, 'backbone', None), 'describe'):
        meta['backbone'] = model.backbone.describe()
    state = {key: tensor.contiguous() for key, tensor in state.items()}
    save(dict(state_dict=state, meta=meta), path, overwrite)


def known_names():
    """list[str]: Names of the trackers that come with the suite."""
    return sorted(path.stem for path in KEPT.glob('*.safetensors'))


def _find(given, weights):
    """What a string means: an open config, or the path of a file that holds weights and config."""
    if given in known_names():
        if weights:
            raise UserError(f'{given} has its own weights: give a config for others')
        return KEPT / f'{given}.safetensors'
    if given.endswith(('.safetensors', '.pth')):
        if weights:
            raise UserError(f'{given} is no config: give a config before the weights')
        return given
    if Path(given).suffix or Path(given).exists():
        return load_config(given)
    names = ', '.join(known_names()) or 'none'
    raise UserError(f'{given!r} is neither a config file nor a known tracker (known: {names})')
