"""Many trainings: one recipe over a grid, or pre-trained weights judged by every task."""

from .preset import load_preset, read_inits
from .scorecard import Scorecard
from .sweep import Sweep

__all__ = ['Scorecard', 'Sweep', 'load_preset', 'read_inits']
