"""Absolute and relative position tables, and their resampling to another grid."""

import math
from functools import lru_cache, wraps

import numpy as np
import torch
import torch.nn.functional as F
from scipy.interpolate import CubicSpline

from mmlite.errors import ArgumentError


def constant(function):
    """Cache tensors that depend on hashable arguments only (sizes, dtype, device)."""

    @lru_cache(maxsize=64)
    @wraps(function)
    def cached(*args):
        with torch.inference_mode(False), torch.no_grad():  # training may use them later
            return function(*args)

    return cached


def resample_positions(pos_embed, grid, num_prefix=1, antialias=False):
    """Resize a table of absolute positions (1, num_prefix + h * h, C) to another grid (H, W).

    Bicubic, in float32; without antialiasing as in MAE, BEiT and ViTDet, or with it as in timm.
    """
    prefix, cells = pos_embed[:, :num_prefix], pos_embed[:, num_prefix:]
    side = math.isqrt(cells.shape[1])
    if side * side != cells.shape[1]:
        raise ArgumentError(
            f'pos_embed has {cells.shape[1]} rows after {num_prefix} prefix rows, which is not a '
            f'square grid'
        )
    if (side, side) == tuple(grid):
        return pos_embed
    cells = cells.float().unflatten(1, (side, side)).permute(0, 3, 1, 2)
    cells = F.interpolate(
        cells, size=tuple(grid), mode='bicubic', align_corners=False, antialias=antialias
    )
    cells = cells.flatten(2).transpose(1, 2).to(prefix.dtype)
    return torch.cat([prefix, cells], dim=1) if num_prefix else cells


class PositionCache:
    """Cache of resampled positions between forward passes without gradient.

    In-place updates of the source table raise its version and invalidate an entry. Writes through
    ``.data`` (EMA) do not, so the owner clears the cache when it switches mode.
    """

    def __init__(self):
        self.entries = {}

    def clear(self):
        self.entries.clear()

    def get(self, source, key, compute):
        """Return ``compute()``, or its earlier result for the same ``source`` and ``key``."""
        if torch.is_grad_enabled() or torch.compiler.is_compiling():
            return compute()
        state = (source.data_ptr(), source._version, source.device, source.dtype)
        known = self.entries.get(key)
        if known is None or known[0] != state:
            known = self.entries[key] = (state, compute())
        return known[1]

    def __deepcopy__(self, memo):
        return PositionCache()

    def __getstate__(self):
        return {'entries': {}}


def resample_rel_pos(table, length):
    """Resize a decomposed relative position table (2L - 1, D) linearly to ``length`` rows."""
    if table.shape[0] == length:
        return table
    resized = F.interpolate(table.float().t()[None], size=length, mode='linear')
    return resized[0].t().to(table.dtype)


def resample_bias_table(table, source, target):
    """Resize a bias table ((2h - 1)(2w - 1) + 3, heads) of ``source`` (h, w) to ``target`` (H, W).

    Rows are samples at geometrically growing distances, read with a cubic spline at integer
    distances (BEiT's fine-tuning), i.e. two matrix products through which gradients flow.
    """
    if tuple(source) == tuple(target):
        return table
    sizes = [2 * n - 1 for n in source]
    rows, columns = (
        _spline_matrix(s, 2 * t - 1, table.device) for s, t in zip(sizes, target, strict=True)
    )
    cells, extra = table[:-3].float().unflatten(0, sizes), table[-3:]
    cells = torch.einsum('ay,bx,yxh->abh', rows, columns, cells)
    return torch.cat([cells.flatten(0, 1).to(table.dtype), extra])


@constant
def _spline_matrix(source, target, device):
    """(target, source) matrix of the spline in :func:`resample_bias_table`; both sizes are odd."""
    if source == target:
        return torch.eye(source, device=device)
    half = source // 2
    reach = target // 2
    ratio = _geometric_ratio(half, reach)
    steps = np.cumsum(ratio ** np.arange(half))
    knots = np.concatenate([-steps[::-1], [0.0], steps])
    matrix = CubicSpline(knots, np.eye(source))(np.arange(-reach, reach + 1))
    return torch.from_numpy(matrix).float().to(device)


def _geometric_ratio(terms, total):
    """Ratio r with 1 + r + ... + r^(terms - 1) = ``total`` (bisection; r < 1 when shrinking)."""
    low, high = 1e-6, 1e3
    for _ in range(200):
        middle = (low + high) / 2
        if sum(middle**i for i in range(terms)) < total:
            low = middle
        else:
            high = middle
    return (low + high) / 2


@constant
def relative_position_index(grid, with_cls, device):
    """Row of the bias table per (query, key), int64 (N, N), of a grid (H, W), N = H * W (+ 1).

    ``(dy + H - 1)(2W - 1) + dx + W - 1`` with (dy, dx) = cell i - cell j; class token to any is row
    -3 of the table, any to class token row -2, class token to itself row -1.
    """
    H, W = grid
    y, x = torch.meshgrid(torch.arange(H), torch.arange(W), indexing='ij')
    cell = torch.stack([y.flatten(), x.flatten()])
    dy, dx = cell[:, :, None] - cell[:, None, :]
    index = (dy + H - 1) * (2 * W - 1) + dx + W - 1
    if with_cls:
        rows = (2 * H - 1) * (2 * W - 1)
        index = F.pad(index, (1, 0, 1, 0), value=rows)
        index[1:, 0] = rows + 1
        index[0, 0] = rows + 2
    return index.to(device)


def sincos_positions(dim, grid, with_cls=True):
    """Fixed 2-D sine-cosine positions of MAE: (1, H * W (+ 1), dim), ``dim`` divisible by 4.

    Channels are [sin x, cos x, sin y, cos y], x the column; ``with_cls`` prepends a row of zeros.
    """
    if dim % 4:
        raise ArgumentError(f'dim {dim} is not divisible by 4, as sine-cosine positions require')
    omega = 10000.0 ** -(torch.arange(dim // 4, dtype=torch.float64) / (dim // 4))
    y, x = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in grid), indexing='ij')
    angles = [axis.flatten()[:, None] * omega for axis in (x, y)]
    table = torch.cat([f(a) for a in angles for f in (torch.sin, torch.cos)], dim=1).float()
    return F.pad(table, (0, 0, int(with_cls), 0))[None]
