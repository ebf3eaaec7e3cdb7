"""One-pass evaluation of single-object tracking."""

from .metric import SOTMetric

__all__ = ['SOTMetric']
