"""Export of trained models, and runtimes for the exported files."""

from .onnx_export import export_tracker
from .onnx_tracker import ONNXTrackerNetwork

__all__ = ['ONNXTrackerNetwork', 'export_tracker']
