"""Hooks, optimiser constructors, checks and launching: what stands between config and Runner."""

from .hooks import (
    CheckpointFitHook,
    CheckpointHook,
    ClipEachTensorHook,
    ClipNormHook,
    DDPCommHook,
    FreezeLayersHook,
    FrozenTeacherHook,
    ReduceLossHook,
    SegPredictionHook,
    SkippedSampleHook,
)
from .optimizers import LayerDecayOptimWrapperConstructor
from .track_loop import SequenceTestLoop, SequenceValLoop

__all__ = [
    'CheckpointFitHook',
    'CheckpointHook',
    'ClipEachTensorHook',
    'ClipNormHook',
    'DDPCommHook',
    'FreezeLayersHook',
    'FrozenTeacherHook',
    'LayerDecayOptimWrapperConstructor',
    'ReduceLossHook',
    'SegPredictionHook',
    'SequenceTestLoop',
    'SequenceValLoop',
    'SkippedSampleHook',
]
