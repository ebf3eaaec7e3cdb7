"""Models of the suite, registered in scope ``mmlite``."""

from .backbones import Hiera, ViT
from .layers import LN2d
from .necks import SimpleFeaturePyramid

__all__ = ['Hiera', 'LN2d', 'SimpleFeaturePyramid', 'ViT']
