"""Writers of the official layouts, one per task."""

from .ade20k import ADE20K
from .base import Format
from .coco import COCO
from .got10k import GOT10k
from .imagenet import ImageNet
from .lasot import LaSOT

FORMATS = {f.task: f for f in (COCO, ImageNet, ADE20K, LaSOT, GOT10k)}
"""Task -> the ``Format`` that writes its sets."""

__all__ = ['ADE20K', 'COCO', 'FORMATS', 'Format', 'GOT10k', 'ImageNet', 'LaSOT']
