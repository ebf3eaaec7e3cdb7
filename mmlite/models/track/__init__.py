"""One-stream single-object tracking on the backbones' ``embed`` and ``encode``."""

from .center_head import CenterHead
from .elimination import CandidateElimination
from .hiera_ostrack import HieraOSTrack
from .one_stream import OneStreamTracker
from .ostrack import OSTrack
from .preprocessor import TrackDataPreprocessor

__all__ = [
    'CandidateElimination', 'CenterHead', 'HieraOSTrack', 'OSTrack', 'OneStreamTracker',
    'TrackDataPreprocessor',
]  # fmt: skip
