"""Data sets for single-object tracking, used in configs as ``type='mmlite.<name>'``."""

from .coco_stills import COCOStillsDataset
from .frame_folder import FrameFolderDataset
from .got10k import GOT10kDataset
from .imagenet_vid import ImageNetVIDDataset
from .lasot import LaSOTDataset, LaSOTExtDataset
from .pairs import PairSampler, TrackPairs
from .ranged import NFSDataset, OTB100Dataset, TC128Dataset, UAV123Dataset
from .tnl2k import TNL2KDataset
from .trackingnet import TrackingNetDataset
from .transforms import CropPair, FlipCrops, JitterBrightness, PackTrackPair
from .vot import VOTDataset

__all__ = [
    'COCOStillsDataset',
    'CropPair',
    'FlipCrops',
    'FrameFolderDataset',
    'GOT10kDataset',
    'ImageNetVIDDataset',
    'JitterBrightness',
    'LaSOTDataset',
    'LaSOTExtDataset',
    'NFSDataset',
    'OTB100Dataset',
    'PackTrackPair',
    'PairSampler',
    'TC128Dataset',
    'TNL2KDataset',
    'TrackPairs',
    'TrackingNetDataset',
    'UAV123Dataset',
    'VOTDataset',
]
