"""One-line use from Python."""

from .onnx_tracker import ONNXTrackerNetwork
from .sot_inferencer import SOTInferencer, TrackedVideo

__all__ = ['ONNXTrackerNetwork', 'SOTInferencer', 'TrackedVideo']
