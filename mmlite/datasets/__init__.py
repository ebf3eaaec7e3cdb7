"""Data sets and transforms, used in configs as ``type='mmlite.<name>'``."""

from .coco import CocoDataset
from .pretrain_transforms import BlockwiseMask, RandomResizedCrop, TwoSizeRandomResizedCrop
from .transforms import LoadImageFromFile

__all__ = [
    'BlockwiseMask',
    'CocoDataset',
    'LoadImageFromFile',
    'RandomResizedCrop',
    'TwoSizeRandomResizedCrop',
]
