"""One-line use from Python."""

from pathlib import Path

from mmlite.deploy import ONNXTrackerNetwork
from mmlite.engine.build import init_model
from mmlite.engine.config_file import load_config

from .classification import Classification, ClsInferencer
from .detection import Detections, DetInferencer
from .image_inferencer import Predictions
from .segmentation import SegInferencer, Segmentation
from .sot_inferencer import SOTInferencer
from .tasks import find_task
from .track_video import TrackedVideo

__all__ = [
    'Classification', 'ClsInferencer', 'DetInferencer', 'Detections', 'ONNXTrackerNetwork',
    'Predictions', 'SOTInferencer', 'SegInferencer', 'Segmentation', 'TrackedVideo',
    'build_inferencer', 'init_model',
]  # fmt: skip


def build_inferencer(config, weights=None, device=None):
    """Build the inferencer for the model of a config.

    Args:
        config (str | Path | Config): Config file or open config; or a tracker's ``.onnx`` file.
        weights (str | Path, optional): Checkpoint, ``.pth`` or ``.safetensors``, with all weights
            of the model and no others. Defaults to the ``load_from`` of the config.
        device (str, optional): Defaults to CUDA where there is a GPU.

    Returns:
        ClsInferencer | DetInferencer | SegInferencer | SOTInferencer: See there.
    """
    if isinstance(config, (str, Path)):
        if str(config).endswith('.onnx'):
            return SOTInferencer(config, weights, device)
        config = load_config(config)
    image_classes = {cls.TASK: cls for cls in (ClsInferencer, DetInferencer, SegInferencer)}
    return image_classes.get(find_task(config), SOTInferencer)(config, weights, device)
