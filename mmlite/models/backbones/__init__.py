"""Backbones: one class each, for every task."""

from .hiera import Hiera
from .timm_vit import TimmViT
from .vit import ViT

__all__ = ['Hiera', 'TimmViT', 'ViT']
