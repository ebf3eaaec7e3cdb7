"""Hooks, optimiser constructors, checks and launching: what stands between config and Runner."""

from .hooks import (
    CheckpointFitHook,
    CheckpointHook,
    ClipEachTensorHook,
    ClipNormHook,
    DDPCommHook,
    FiniteHook,
    FreezeLayersHook,
    FrozenTeacherHook,
    ReduceLossHook,
    SegPredictionHook,
    StopHook,
)
from .loops import EpochTrainLoop, IterTrainLoop
from .optimizers import LayerDecayOptimWrapperConstructor
from .tracking import SequenceTestLoop, SequenceValLoop

__all__ = [
    'CheckpointFitHook',
    'CheckpointHook',
    'ClipEachTensorHook',
    'ClipNormHook',
    'DDPCommHook',
    'EpochTrainLoop',
    'FiniteHook',
    'FreezeLayersHook',
    'FrozenTeacherHook',
    'IterTrainLoop',
    'LayerDecayOptimWrapperConstructor',
    'ReduceLossHook',
    'SegPredictionHook',
    'SequenceTestLoop',
    'SequenceValLoop',
    'StopHook',
]
