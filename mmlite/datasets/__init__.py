"""Data sets and transforms, used in configs as ``type='mmlite.<name>'``."""

from .coco import CocoDataset
from .color_jitter import ColorJitter
from .image_folder import ImageFolder
from .inaturalist import INaturalist
from .pretrain_transforms import BlockwiseMask, RandomResizedCrop, TwoSizeRandomResizedCrop
from .sot import (
    COCOStillsDataset,
    CropPair,
    FlipCrops,
    FrameFolderDataset,
    GOT10kDataset,
    JitterBrightness,
    LaSOTDataset,
    LaSOTExtDataset,
    NFSDataset,
    OTB100Dataset,
    PackTrackPair,
    PairSampler,
    TrackingNetDataset,
    TrackPairs,
    UAV123Dataset,
)
from .transforms import LoadImageFromFile

__all__ = [
    'BlockwiseMask',
    'COCOStillsDataset',
    'CocoDataset',
    'ColorJitter',
    'CropPair',
    'FlipCrops',
    'FrameFolderDataset',
    'GOT10kDataset',
    'INaturalist',
    'ImageFolder',
    'JitterBrightness',
    'LaSOTDataset',
    'LaSOTExtDataset',
    'LoadImageFromFile',
    'NFSDataset',
    'OTB100Dataset',
    'PackTrackPair',
    'PairSampler',
    'RandomResizedCrop',
    'TrackPairs',
    'TrackingNetDataset',
    'TwoSizeRandomResizedCrop',
    'UAV123Dataset',
]
