"""Hooks, optimiser constructors, checks and launching: what stands between config and Runner."""

from .hooks import (
    CheckpointFitHook,
    CheckpointHook,
    DDPCommHook,
    FrozenTeacherHook,
    ReduceLossHook,
    SkippedSampleHook,
)
from .optimizers import LayerDecayOptimWrapperConstructor

__all__ = [
    'CheckpointFitHook',
    'CheckpointHook',
    'DDPCommHook',
    'FrozenTeacherHook',
    'LayerDecayOptimWrapperConstructor',
    'ReduceLossHook',
    'SkippedSampleHook',
]
