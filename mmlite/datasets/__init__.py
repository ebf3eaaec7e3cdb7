"""Data sets and transforms, used in configs as ``type='mmlite.<name>'``."""

from . import sot
from .classification import ImageFolder, INaturalist
from .coco import CocoDataset
from .formats.loading import LoadSegAnnotations
from .pretrain_transforms import BlockwiseMask, RandomResizedCrop, TwoSizeRandomResizedCrop
from .sot import *  # noqa: F403
from .transforms import ColorJitter, LoadImageFromFile

__all__ = [
    'BlockwiseMask',
    'CocoDataset',
    'ColorJitter',
    'INaturalist',
    'ImageFolder',
    'LoadImageFromFile',
    'LoadSegAnnotations',
    'RandomResizedCrop',
    'TwoSizeRandomResizedCrop',
    *sot.__all__,
]
