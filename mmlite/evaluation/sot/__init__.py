"""One-pass evaluation of single-object tracking."""

from .metric import SOTMetric
from .ope import centre_errors, iou, mean_curves, measure, score_sequence
from .protocols import PROTOCOLS, Protocol, find_protocol
from .report import Evaluation
from .results import ResultFolder, Track, read_track, write_track
from .submission import write_submission

__all__ = [
    'Evaluation',
    'PROTOCOLS',
    'Protocol',
    'ResultFolder',
    'SOTMetric',
    'Track',
    'centre_errors',
    'find_protocol',
    'iou',
    'mean_curves',
    'measure',
    'read_track',
    'score_sequence',
    'write_submission',
    'write_track',
]
