"""Backbones: one class each, for every task."""

from . import timm_features  # noqa: F401  (repairs mmpretrain)
from .hiera import Hiera
from .swin import Swin
from .timm_cnn import TimmCNN
from .timm_vit import TimmViT
from .vit import ViT

__all__ = ['Hiera', 'Swin', 'TimmCNN', 'TimmViT', 'ViT']
