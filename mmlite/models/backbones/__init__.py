"""Backbones: one class each, for every task."""

from .hiera import Hiera
from .vit import ViT

__all__ = ['Hiera', 'ViT']
