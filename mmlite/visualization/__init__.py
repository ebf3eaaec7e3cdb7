"""Drawing: annotations, predictions, tracks and curves."""

from .drawing import class_name, color_label_maps, draw_instances, draw_label_maps, legible
from .figures import draw_curves
from .palette import LINE_COLORS, PALETTE, class_colors
from .tracks import TILE, EvenSubsampler, draw_targets, even_indices, track_sheet

__all__ = [
    'LINE_COLORS', 'PALETTE', 'TILE', 'EvenSubsampler', 'class_colors', 'class_name',
    'color_label_maps', 'draw_curves', 'draw_instances', 'draw_label_maps', 'draw_targets',
    'even_indices', 'legible', 'track_sheet',
]  # fmt: skip
