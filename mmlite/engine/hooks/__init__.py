"""Hooks, used in configs as ``type='mmlite.<name>'``."""

from ..nonfinite import FiniteHook
from .checkpoint import CheckpointHook
from .ddp_comm import DDPCommHook
from .elimination import EliminationScheduleHook
from .fit import CheckpointFitHook
from .frozen_teacher import FrozenTeacherHook
from .gradients import ClipEachTensorHook, ClipNormHook, FreezeLayersHook
from .reduce_losses import ReduceLossHook
from .stop import StopHook
from .visualization import SegPredictionHook, TrackSheetHook

__all__ = [
    'CheckpointFitHook',
    'CheckpointHook',
    'ClipEachTensorHook',
    'ClipNormHook',
    'DDPCommHook',
    'EliminationScheduleHook',
    'FiniteHook',
    'FreezeLayersHook',
    'FrozenTeacherHook',
    'ReduceLossHook',
    'SegPredictionHook',
    'StopHook',
    'TrackSheetHook',
]
