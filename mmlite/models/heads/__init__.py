"""Heads of tasks that differ from those of the OpenMMLab libraries."""

from .mask_head import FCNMaskHead

__all__ = ['FCNMaskHead']
