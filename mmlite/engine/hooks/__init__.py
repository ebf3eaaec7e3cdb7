"""Hooks, used in configs as ``type='mmlite.<name>'``."""

from ..nonfinite import FiniteHook
from .annealing import MaskAnnealingHook
from .checkpoint import CheckpointHook
from .distributed import DDPCommHook, ReduceLossHook
from .elimination import EliminationScheduleHook
from .fit import CheckpointFitHook
from .frozen_teacher import FrozenTeacherHook
from .gradients import ClipEachTensorHook, ClipNormHook, FreezeLayersHook
from .stop import StopHook
from .visualization import PredictionHook, SegPredictionHook, TrackSheetHook

__all__ = [
    'CheckpointFitHook', 'CheckpointHook', 'ClipEachTensorHook', 'ClipNormHook', 'DDPCommHook',
    'EliminationScheduleHook', 'FiniteHook', 'FreezeLayersHook', 'FrozenTeacherHook',
    'MaskAnnealingHook', 'PredictionHook', 'ReduceLossHook', 'SegPredictionHook', 'StopHook',
    'TrackSheetHook',
]  # fmt: skip
