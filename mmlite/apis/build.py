"""One way to the inferencer of any task."""

from pathlib import Path

from mmlite.engine.config_file import load_config

from .classification import ClsInferencer
from .detection import DetInferencer
from .segmentation import SegInferencer
from .sot_inferencer import SOTInferencer
from .tasks import find_task

CLASSES = {
    'classification': ClsInferencer,
    'detection': DetInferencer,
    'segmentation': SegInferencer,
    'tracking': SOTInferencer,
}


def build_inferencer(config, weights=None, device=None):
    """Build the inferencer for the model of a config.

    Args:
        config (str | Path | Config): Config file or open config; or a tracker's ``.onnx`` file.
        weights (str | Path, optional): Checkpoint. Defaults to the ``load_from`` of the config.
        device (str, optional): Defaults to CUDA where there is a GPU.

    Returns:
        ClsInferencer | DetInferencer | SegInferencer | SOTInferencer: See there also for errors.
    """
    if isinstance(config, (str, Path)) and str(config).endswith('.onnx'):
        return SOTInferencer(config, weights, device)
    if isinstance(config, (str, Path)):
        config = load_config(config)
    task = find_task(config)
    return CLASSES[task](config, weights, device)
