"""Models of the suite, registered in scope ``mmlite``."""

from .backbones import Hiera, Swin, TimmViT, ViT
from .cpu_parallel import CPUDistributedDataParallel
from .distilled_classifier import DistilledClassifier
from .eomt import EoMTDetector, EoMTHead, EoMTSegHead, EoMTSegmentor
from .heads import FCNMaskHead
from .layers import LN2d
from .necks import NarrowFeature2Pyramid, SimpleFeaturePyramid
from .pretrain import *  # noqa: F403  (each method registers itself)
from .track import HieraOSTrack, OSTrack

__all__ = [
    'CPUDistributedDataParallel', 'DistilledClassifier', 'EoMTDetector', 'EoMTHead', 'EoMTSegHead',
    'EoMTSegmentor', 'FCNMaskHead', 'Hiera', 'HieraOSTrack', 'LN2d', 'NarrowFeature2Pyramid',
    'OSTrack', 'SimpleFeaturePyramid', 'Swin', 'TimmViT', 'ViT',
]  # fmt: skip
