"""Metrics that the OpenMMLab libraries do not have, used in configs as ``type='mmlite.<name>'``."""

from .dump_seg import DumpSegResults
from .sot import SOTMetric

__all__ = ['DumpSegResults', 'SOTMetric']
