"""Data sets for single-object tracking, used in configs as ``type='mmlite.<name>'``."""

from .coco_stills import COCOStillsDataset
from .frame_folder import FrameFolderDataset
from .got10k import GOT10kDataset
from .lasot import LaSOTDataset, LaSOTExtDataset
from .pairs import PairSampler, TrackPairs
from .ranged import NFSDataset, OTB100Dataset, UAV123Dataset
from .trackingnet import TrackingNetDataset
from .transforms import CropPair, FlipCrops, JitterBrightness, PackTrackPair

__all__ = [
    'COCOStillsDataset',
    'CropPair',
    'FlipCrops',
    'FrameFolderDataset',
    'GOT10kDataset',
    'JitterBrightness',
    'LaSOTDataset',
    'LaSOTExtDataset',
    'NFSDataset',
    'OTB100Dataset',
    'PackTrackPair',
    'PairSampler',
    'TrackPairs',
    'TrackingNetDataset',
    'UAV123Dataset',
]
