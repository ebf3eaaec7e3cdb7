"""One-line use from Python."""

from mmlite.deploy import ONNXTrackerNetwork
from mmlite.engine.build import init_model

from .build import build_inferencer
from .classification import Classification, ClsInferencer
from .detection import Detections, DetInferencer
from .image_inferencer import Predictions
from .segmentation import SegInferencer, Segmentation
from .sot_inferencer import SOTInferencer, TrackedVideo

__all__ = [
    'Classification',
    'ClsInferencer',
    'DetInferencer',
    'Detections',
    'ONNXTrackerNetwork',
    'Predictions',
    'SOTInferencer',
    'SegInferencer',
    'Segmentation',
    'TrackedVideo',
    'build_inferencer',
    'init_model',
]
