"""Hooks, used in configs as ``type='mmlite.<name>'``."""

from .checkpoint import CheckpointHook
from .ddp_comm import DDPCommHook
from .fit import CheckpointFitHook
from .reduce_losses import ReduceLossHook
from .skipped import SkippedSampleHook

__all__ = [
    'CheckpointFitHook',
    'CheckpointHook',
    'DDPCommHook',
    'ReduceLossHook',
    'SkippedSampleHook',
]
