"""Building blocks of the backbones and necks."""

from .attention import Attention, BiasTableAttention, DecomposedAttention, attend
from .norm import LN2d
from .patches import cut_patches, grid_of, join_patches, kept_first, take
from .position import (
    PositionCache,
    relative_position_index,
    resample_bias_table,
    resample_positions,
    resample_rel_pos,
    sincos_positions,
)
from .rope import Places, Rope
from .taps import BLOCK_TAPS, group_taps
from .windows import from_windows, join_units, reroll, to_windows, unroll

__all__ = [
    'BLOCK_TAPS', 'Attention', 'BiasTableAttention', 'DecomposedAttention', 'LN2d', 'Places',
    'PositionCache', 'Rope', 'attend', 'cut_patches', 'from_windows', 'grid_of', 'group_taps',
    'join_patches', 'join_units', 'kept_first', 'relative_position_index', 'resample_bias_table',
    'resample_positions', 'resample_rel_pos', 'reroll', 'sincos_positions', 'take', 'to_windows',
    'unroll',
]  # fmt: skip
