"""Models of the suite, registered in scope ``mmlite``."""

from .backbones import Hiera, ViT
from .layers import LN2d
from .necks import SimpleFeaturePyramid
from .pretrain import *  # noqa: F403  (each method registers itself)

__all__ = ['Hiera', 'LN2d', 'SimpleFeaturePyramid', 'ViT']
