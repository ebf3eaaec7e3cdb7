"""Models of the suite, registered in scope ``mmlite``."""

from .backbones import Hiera, TimmViT, ViT
from .layers import LN2d
from .necks import NarrowFeature2Pyramid, SimpleFeaturePyramid
from .pretrain import *  # noqa: F403  (each method registers itself)

__all__ = ['Hiera', 'LN2d', 'NarrowFeature2Pyramid', 'SimpleFeaturePyramid', 'TimmViT', 'ViT']
