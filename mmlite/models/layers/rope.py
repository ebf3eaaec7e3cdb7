"""Rotary positions of patch tokens on one or more grids."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mmlite.errors import ArgumentError

from .position import constant
from .windows import to_windows


@dataclass
class Places:
    """Cells of the patch tokens, which are the last tokens of a sequence.

    Args:
        grids (Sequence[tuple[int, int]]): Sizes (H, W) of the grids whose cells follow one another.
        keep (Tensor, optional): Cells of the tokens among all those, int64 (B, K). Defaults to
            None, every cell in order.
    """

    grids: tuple
    keep: Tensor | None = None


class Rope:
    """Rotary positions (RoFormer, arXiv 2104.09864) by axis, without parameters.

    Of each ``head_dim`` / 2 angles of a cell, the first half belongs to its row, the second to its
    column, with the periods ``temperature`` ^ (i / n), i from 0 to n - 1. All heads share them.

    Args:
        head_dim (int): Channels of a head, a multiple of 4.
        temperature (float): Base of the periods. Defaults to 100 (DINOv3).
        reference (int, optional): Side of the grid on which a step is 1 radian at period 1; other
            grids are stretched to it, and neighboring channels are a pair (EVA-02). Defaults to
            None: the middles of the cells divide an axis from -1 to 1, a unit is 2 pi, and channel
            i and i + ``head_dim`` / 2 are a pair (DINOv3).
        rescale (float): In training, every block multiplies both coordinates by one factor,
            log-uniform in [1 / ``rescale``, ``rescale``]. Defaults to 1.
        jitter (float): The same with a factor for each axis. Defaults to 1.
        shift (float): In training, every block adds a number in [-``shift``, ``shift``] to each
            coordinate, before the factors. Defaults to 0.
    """

    def __init__(
        self, head_dim, temperature=100.0, reference=None, rescale=1.0, jitter=1.0, shift=0.0
    ):
        if head_dim % 4:
            raise ArgumentError(
                f'heads of {head_dim} channels cannot have rotary positions: num_heads must leave '
                f'a multiple of 4'
            )
        if min(rescale, jitter) < 1 or shift < 0:
            raise ArgumentError(
                f'rope: rescale {rescale} and jitter {jitter} must be >= 1 and shift {shift} >= 0'
            )
        self.settings = (head_dim, float(temperature), reference)
        self.interleaved = reference is not None
        self.rescale, self.jitter, self.shift = rescale, jitter, shift

    def __call__(self, places, window=0, device=None, training=False):
        """Cosines and sines (2, B', 1, N, head_dim), float32, of the cells of :class:`Places`.

        B' is 1; with ``keep``, the number of images; with attention windows of side ``window``, the
        number of windows of an image, whose cells keep their coordinates in the whole grid.
        """
        augment = training and (self.rescale > 1 or self.jitter > 1 or self.shift > 0)
        if augment:
            factor, offset = self._draw(device)
            parts = [
                _table((_cells(*self._key(grid, window, device)) + offset) * factor, *self.settings)
                for grid in places.grids
            ]
        else:
            parts = [
                _cached_table(*self._key(grid, window, device), self.settings)
                for grid in places.grids
            ]
        table = parts[0] if len(parts) == 1 else torch.cat(parts, dim=3)
        if places.keep is None:
            return table
        return table[:, 0, 0][:, places.keep].unsqueeze(2)

    def _key(self, grid, window, device):
        return tuple(int(side) for side in grid), window, self.settings[2], device

    def _draw(self, device):
        """Random factor and offset (2,) of the coordinates."""
        draw = 2 * torch.rand(5, device=device) - 1
        logs = draw[:2] * math.log(self.jitter) + draw[4] * math.log(self.rescale)
        return logs.exp(), draw[2:4] * self.shift


def rotate(x, rotation, interleaved=False):
    """Rotate the last N tokens of queries or keys (B, heads, >= N, D).

    ``rotation`` (2, B', 1, N, D) is that of a :class:`Rope`; B is a multiple of B'.
    """
    cos, sin = rotation.unbind(0)
    if len(cos) not in (1, len(x)):  # windows of several images
        cos, sin = (t.repeat(len(x) // len(cos), 1, 1, 1) for t in (cos, sin))
    others = x.shape[2] - cos.shape[2]
    if others < 0:
        raise ArgumentError(
            f'{x.shape[2]} tokens cannot have the rotary positions of {cos.shape[2]} cells: pass '
            f'context=Places(grids, keep) with the cells of the tokens'
        )
    first, x = x[:, :, :others], x[:, :, others:]
    if interleaved:
        a, b = x.unflatten(-1, (-1, 2)).unbind(-1)
        turned = torch.stack([-b, a], dim=-1).flatten(-2)
    else:
        a, b = x.chunk(2, dim=-1)
        turned = torch.cat([-b, a], dim=-1)
    x = (x * cos + turned * sin).to(x.dtype)
    return torch.cat([first, x], dim=2) if others else x


@constant
def _cells(grid, window, reference, device):
    """Coordinates (windows, N, 2), row first, of the cells of a grid (H, W) by window."""
    axes = []
    for side in grid:
        length = side + -side % window if window else side
        steps = torch.arange(length, dtype=torch.float32, device=device)
        axes.append((steps + 0.5) / side * 2 - 1 if reference is None else steps / side * reference)
    cells = torch.stack(torch.meshgrid(*axes, indexing='ij'), dim=-1)
    padded = cells.shape[:2]
    cells = cells.flatten(0, 1)[None]
    return to_windows(cells, padded, window) if window else cells


@constant
def _cached_table(grid, window, reference, device, settings):
    return _table(_cells(grid, window, reference, device), *settings)


def _table(cells, head_dim, temperature, reference):
    """Cosines and sines (2, windows, 1, N, head_dim) of coordinates (windows, N, 2)."""
    count = head_dim // 4
    steps = torch.arange(count, dtype=torch.float32, device=cells.device)
    unit = 2 * math.pi if reference is None else 1.0
    angles = (unit * cells[..., None] / temperature ** (steps / count)).flatten(-2)
    if reference is None:
        angles = torch.cat([angles, angles], dim=-1)
    else:
        angles = angles.repeat_interleave(2, dim=-1)
    return torch.stack([angles.cos(), angles.sin()]).unsqueeze(2)
