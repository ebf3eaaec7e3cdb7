"""Swin's block: attention in windows that every other block shifts, and merging of patches."""

import torch
from timm.models.swin_transformer import PatchMerging

from .attention import BiasTableAttention
from .block import Block
from .position import constant, relative_position_index
from .table_bias import TableBias
from .windows import from_windows, to_windows


@constant
def shift_mask(grid, window, shift, device):
    """Bias (windows, 1, w^2, w^2) of a shifted grid (H, W): 0 among neighbors, otherwise -100.

    A shift rolls the first rows and columns behind the last ones, of which they are no neighbors.
    """
    padded = tuple(side + -side % window for side in grid)
    steps = [torch.arange(side) for side in padded]
    part_y, part_x = (
        (step >= side - window).long() + (step >= side - shift).long()
        for step, side in zip(steps, padded, strict=True)
    )
    part = (3 * part_y[:, None] + part_x).view(1, -1, 1)
    part = to_windows(part, padded, window)[..., 0]
    return -100.0 * (part[:, None, :, None] != part[:, None, None, :]).float().to(device)


class WindowAttention(BiasTableAttention):
    """Attention inside windows ``grid`` (H, W), with a bias per relative position and head."""

    class_rows = 0

    def add_positions(self, q, k, mask):
        """Scaled queries, keys and bias; ``mask`` (windows, 1, N, N) of an image is added to it."""
        index = relative_position_index(self.grid, False, q.device)
        bias = TableBias(self.relative_position_bias_table, index)
        if mask is not None:
            bias = (bias.dense() + mask).repeat(len(q) // len(mask), 1, 1, 1)
        return q * self.scale, k, bias


class SwinBlock(Block):
    """Block of ``stage`` whose windows of side ``window`` are ``shift`` tokens off the grid.

    ``merges``: 2x2 tokens become one of twice the channels after it.
    """

    def __init__(self, dim, num_heads, window, shift=0, stage=0, merges=False, **kwargs):
        attn = WindowAttention(dim, num_heads, grid=(window, window))
        super().__init__(attn, dim, window_size=window, eps=1e-5, **kwargs)
        self.shift = shift
        self.stage = stage
        self.downsample = PatchMerging(dim) if merges else None

    def grid(self, patches):
        """Rows and columns of tokens, of (H, W) patches of an image."""
        return tuple(-(-side // 2**self.stage) for side in patches)

    def forward(self, x, patches, want=(), only_taps=False):
        """Run the block on tokens (B, N, C) of an image of (H, W) patches, as :class:`Block`.

        The tap ``merged`` has the tokens after the merging (B, N / 4, 2 C), which it returns.
        """
        grid = self.grid(patches)
        x, tapped = super().forward(x, grid, want, only_taps)
        if self.downsample is not None and not only_taps:
            x = self.downsample(x.unflatten(1, grid)).flatten(1, 2)
            if 'merged' in want:
                tapped['merged'] = x
        return x, tapped

    def attend(self, y, grid, want, only_taps):
        # there is nothing to shift in a single window
        shift = self.shift if max(grid) > self.window_size else 0
        mask = shift_mask(grid, self.window_size, shift, y.device) if shift else None
        windows = to_windows(y, grid, self.window_size, shift)
        y, tapped = self.attn(windows, mask, want, only_taps)
        return None if only_taps else from_windows(y, grid, self.window_size, shift), tapped
