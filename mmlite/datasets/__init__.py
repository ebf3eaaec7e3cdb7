"""Data sets and transforms, used in configs as ``type='mmlite.<name>'``."""

from . import sot
from .coco import CocoDataset
from .color_jitter import ColorJitter
from .image_folder import ImageFolder
from .inaturalist import INaturalist
from .pretrain_transforms import BlockwiseMask, RandomResizedCrop, TwoSizeRandomResizedCrop
from .sot import *  # noqa: F403
from .transforms import LoadImageFromFile

__all__ = [
    'BlockwiseMask',
    'CocoDataset',
    'ColorJitter',
    'INaturalist',
    'ImageFolder',
    'LoadImageFromFile',
    'RandomResizedCrop',
    'TwoSizeRandomResizedCrop',
    *sot.__all__,
]
