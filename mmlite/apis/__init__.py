"""One-line use from Python."""

from .sot_inferencer import SOTInferencer, TrackedVideo

__all__ = ['SOTInferencer', 'TrackedVideo']
