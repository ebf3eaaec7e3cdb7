"""Online tracking, and loops that evaluate trackers on whole sequences."""

from .lockstep import track_sequences
from .loops import SequenceTestLoop, SequenceValLoop, digest, split_by_frames
from .online_tracker import Network, OnlineTracker, Target

__all__ = [
    'Network', 'OnlineTracker', 'SequenceTestLoop', 'SequenceValLoop', 'Target', 'digest',
    'split_by_frames', 'track_sequences',
]  # fmt: skip
