"""One way to the inferencer of any task."""

from pathlib import Path

from mmengine.config import Config

from mmlite.engine.config_file import SUFFIXES, load_config

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
    """The inferencer that a config is for, told by its model.

    Args:
        config (str | Path | Config): Config file or open config; or what else
            :class:`~.sot_inferencer.SOTInferencer` takes.
        weights (str | Path, optional): Checkpoint. Defaults to the ``load_from`` of the config.
        device (str, optional): Defaults to CUDA where there is a GPU.

    Returns:
        ClsInferencer | DetInferencer | SegInferencer | SOTInferencer: Ready to be called.

    Raises:
        UserError: If the config, the weights or the device are missing or wrong, or there is no
            inferencer for the model.
        CheckpointError: If the weights are not those of the model.
    """
    if isinstance(config, (str, Path)) and Path(config).suffix in SUFFIXES:
        config = load_config(config)
    task = find_task(config) if isinstance(config, Config) else 'tracking'
    return CLASSES[task](config, weights, device)
