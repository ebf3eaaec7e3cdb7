"""Pre-training methods, one per file."""

from .beit import BEiT, TokenHead
from .bootmae import BootMAE
from .bootmae_decoder import BootMAEDecoder
from .decoder import MaskedDecoder
from .dino import DINO, DINOLoss, DINOProjector
from .distill import Distillation
from .distill_adapters import AttentionLogits, HeadMixing, Lift, TokenMLP, TokenProjection
from .distill_losses import (
    CosineLoss,
    CosineSmoothL1Loss,
    PlainLayerNorm,
    RelationalKLLoss,
    Standardize,
    UnitNorm,
)
from .feature_distiller import FeatureDistiller
from .hiera_fusion import MultiScaleFusion
from .mae import MAE, HieraMAE
from .maskfeat import HOGTarget, MaskFeat
from .mocov3 import MoCoV3, MoCoV3Head
from .momentum import MomentumEncoder, training_progress
from .pixels import PixelHead
from .simmim import SimMIM
from .swin_decoder import SwinDecoder
from .tokenizer import DiscreteTokenizer

__all__ = [
    'DINO', 'MAE', 'AttentionLogits', 'BEiT', 'BootMAE', 'BootMAEDecoder', 'CosineLoss',
    'CosineSmoothL1Loss', 'DINOLoss', 'DINOProjector', 'DiscreteTokenizer', 'Distillation',
    'FeatureDistiller', 'HOGTarget', 'HeadMixing', 'HieraMAE', 'Lift', 'MaskFeat',
    'MaskedDecoder', 'MoCoV3', 'MoCoV3Head', 'MomentumEncoder', 'MultiScaleFusion', 'PixelHead',
    'PlainLayerNorm', 'RelationalKLLoss', 'SimMIM', 'Standardize', 'SwinDecoder', 'TokenHead',
    'TokenMLP', 'TokenProjection', 'UnitNorm', 'training_progress',
]  # fmt: skip
