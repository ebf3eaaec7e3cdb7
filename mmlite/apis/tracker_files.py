"""From a config and weights, or an exported file, to a network that tracks."""

from pathlib import Path

from mmengine.registry import DefaultScope

from mmlite.engine.build import as_device, init_model, open_config
from mmlite.errors import UserError

from .onnx_tracker import ONNXTrackerNetwork
from .tasks import check_task


def load_network(config, weights=None, device=None):
    """Build a tracker, load its weights and put it into evaluation mode.

    Args:
        config (str | Path | Config): A config file or an open config; or a ``.onnx`` file of
            ``tools/deploy/export_tracker.py``, which needs no weights.
        weights (str | Path, optional): Checkpoint. Defaults to the ``load_from`` of the config.
        device (str | torch.device, optional): Defaults to CUDA where there is a GPU; ``.onnx``
            files run on the CPU.

    Returns:
        nn.Module | ONNXTrackerNetwork: Has what
        :class:`~mmlite.engine.online_tracker.Network` lists.

    Raises:
        UserError: The config, the device or the weights are missing or wrong.
        CheckpointError: The weights are not exactly those of the model.
    """
    if isinstance(config, (str, Path)) and str(config).endswith('.onnx'):
        if weights or as_device(device or 'cpu').type != 'cpu':
            raise UserError(f'{config} has its own weights and runs on the CPU: give it alone')
        return ONNXTrackerNetwork(config)
    cfg = open_config(config)
    weights = check_task(cfg, 'tracking', weights)
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmengine'):
        return init_model(cfg, weights, device)
