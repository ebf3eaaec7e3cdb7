"""Data sets and transforms, used in configs as ``type='mmlite.<name>'``."""

from .coco import CocoDataset
from .color_jitter import ColorJitter
from .pretrain_transforms import BlockwiseMask, RandomResizedCrop, TwoSizeRandomResizedCrop
from .transforms import LoadImageFromFile

__all__ = [
    'BlockwiseMask',
    'CocoDataset',
    'ColorJitter',
    'LoadImageFromFile',
    'RandomResizedCrop',
    'TwoSizeRandomResizedCrop',
]
