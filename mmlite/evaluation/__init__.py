"""Metrics that the OpenMMLab libraries do not have, used in configs as ``type='mmlite.<name>'``."""

from .coco import CocoMetric
from .dump_seg import DumpSegResults
from .sot import SOTMetric

__all__ = ['CocoMetric', 'DumpSegResults', 'SOTMetric']
