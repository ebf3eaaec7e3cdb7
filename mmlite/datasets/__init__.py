"""Data sets and transforms, used in configs as ``type='mmlite.<name>'``."""

from .coco import CocoDataset
from .transforms import LoadImageFromFile

__all__ = ['CocoDataset', 'LoadImageFromFile']
