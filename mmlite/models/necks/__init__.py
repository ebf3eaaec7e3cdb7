"""Necks missing in the OpenMMLab libraries."""

from .narrow_feature2pyramid import NarrowFeature2Pyramid
from .simple_feature_pyramid import SimpleFeaturePyramid

__all__ = ['NarrowFeature2Pyramid', 'SimpleFeaturePyramid']
