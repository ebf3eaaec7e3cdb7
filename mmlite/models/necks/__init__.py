"""Necks that the OpenMMLab libraries do not have."""

from .narrow_feature2pyramid import NarrowFeature2Pyramid
from .simple_feature_pyramid import SimpleFeaturePyramid

__all__ = ['NarrowFeature2Pyramid', 'SimpleFeaturePyramid']
