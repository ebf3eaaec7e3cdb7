"""Pre-training methods: one file a method, on the backbones' ``embed`` and ``encode``."""

from .decoder import MaskedDecoder
from .distill import AttentionLogits, Distillation, HeadMixing, TokenProjection
from .hiera_fusion import MultiScaleFusion
from .mae import MAE, HieraMAE
from .pixels import PixelHead

__all__ = [
    'MAE',
    'AttentionLogits',
    'Distillation',
    'HeadMixing',
    'HieraMAE',
    'MaskedDecoder',
    'MultiScaleFusion',
    'PixelHead',
    'TokenProjection',
]
