"""Multi-head self-attention with taps and two kinds of relative positions, with timm's names.

Logits are computed explicitly only for a tap; otherwise attention is fused.
"""

import torch
import torch.nn.functional as F
from torch import nn

from mmlite.errors import ArgumentError

from .position import constant, relative_position_index, resample_bias_table, resample_rel_pos
from .rope import rotate
from .table_bias import TableBias, attend_headwise, runs_headwise


def attend(q, k, v, bias=None):
    """Attention of scaled queries (B, heads, Nq, D) to keys (B, heads, Nk, D) and values, Dv <= D.

    ``bias`` (Tensor | TableBias) is added to the logits. Returns (B, heads, Nq, Dv).
    """
    if isinstance(bias, TableBias):
        if runs_headwise(q):
            return attend_headwise(q, k, v, bias)
        bias = bias.dense()
    width = v.shape[-1]
    if width < q.shape[-1]:  # fused kernels require one head width for q, k and v
        v = F.pad(v, (0, q.shape[-1] - width))
    bias = bias if bias is None else bias.to(q.dtype)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=1.0)[..., :width]


def attention_logits(q, k, bias=None):
    """Logits (B, heads, Nq, Nk) before softmax; arguments as in :func:`attend`."""
    logits = q @ k.transpose(-2, -1)
    bias = bias.dense() if isinstance(bias, TableBias) else bias
    return logits if bias is None else logits + bias


def attend_or_tap(q, k, v, bias, want, only_taps):
    """Output of :func:`attend`, None for ``only_taps``, and a dict of the logits if in ``want``."""
    if 'attn_logits' not in want:
        return None if only_taps else attend(q, k, v, bias), {}
    logits = attention_logits(q, k, bias)
    output = None if only_taps else logits.softmax(dim=-1).to(v.dtype) @ v
    return output, {'attn_logits': logits}


class QVLinear(nn.Linear):
    """Fused projection whose bias has no effect on the keys: that third gets no gradient."""

    def forward(self, x):
        q, k, v = self.bias.chunk(3)
        return F.linear(x, self.weight, torch.cat([q, torch.zeros_like(k), v]))


class Attention(nn.Module):
    """Multi-head self-attention of ``dim`` channels without relative positions.

    ``qkv_bias`` is True, False or ``'qv'``, without the keys (:class:`QVLinear`). ``interleaved``
    is the order of channels of rotary positions (:class:`~.rope.Rope`).
    """

    interleaved = False

    def __init__(self, dim, num_heads, qkv_bias=True):
        super().__init__()
        if dim % num_heads:
            raise ArgumentError(f'dim {dim} is not divisible by num_heads {num_heads}')
        self.num_heads = num_heads
        self.scale = (dim // num_heads) ** -0.5
        linear = QVLinear if qkv_bias == 'qv' else nn.Linear
        self.qkv = linear(dim, 3 * dim, bias=bool(qkv_bias))
        self.proj = nn.Linear(dim, dim)

    def forward(self, x, grid=None, want=(), only_taps=False, rotation=None, mask=None):
        """Attend over all tokens (B, N, C) of a patch grid (H, W), used by relative positions.

        ``rotation`` (:class:`~.rope.Rope`) is applied to queries and keys of the last tokens.
        ``mask``, bool (B, 1, N, N), is True where a token may attend; not with relative positions.

        Returns tokens (B, N, C), None for ``only_taps``, and the taps in ``want``: ``q``, ``k``,
        ``v`` (B, heads, N, D; ``q`` unscaled, ``q`` and ``k`` rotated), ``attn_logits`` (B, heads,
        N, N; before softmax).
        """
        B, N, C = x.shape
        q, k, v = self.qkv(x).view(B, N, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        if rotation is not None:
            q, k = (rotate(t, rotation, self.interleaved) for t in (q, k))
        tapped = {name: t for name, t in (('q', q), ('k', k), ('v', v)) if name in want}
        q, k, bias = self.add_positions(q, k, grid)
        if mask is not None:
            bias = q.new_zeros(mask.shape).masked_fill_(~mask, -torch.inf)
        x, logits = attend_or_tap(q, k, v, bias, want, only_taps)
        tapped |= logits
        return None if only_taps else self.proj(x.transpose(1, 2).reshape(B, N, C)), tapped

    def add_positions(self, q, k, grid):
        """Scale queries (B, heads, N, D) and add relative positions of a token grid (H, W) or None.

        Returns q', k' and bias (Tensor, TableBias or None): the logits are q' k'^T (+ bias).
        """
        return q * self.scale, k, None


class BiasTableAttention(Attention):
    """Attention with a learned bias per relative position and head (BEiT, SimMIM).

    The table of a ``grid`` (H, W) is resampled for another. It has (2H - 1)(2W - 1) + 3 rows,
    initially zero; the last are class token to any, any to class token, class token to itself.
    """

    class_rows = 3

    def __init__(self, dim, num_heads, qkv_bias=True, grid=(14, 14)):
        super().__init__(dim, num_heads, qkv_bias)
        self.grid = tuple(grid)
        rows = (2 * self.grid[0] - 1) * (2 * self.grid[1] - 1) + self.class_rows
        self.relative_position_bias_table = nn.Parameter(torch.zeros(rows, num_heads))

    def add_positions(self, q, k, grid):
        if grid is None:
            raise ArgumentError(
                'relative position bias requires the token grid: pass grid=(H, W), or set '
                'rel_pos=None to encode a subset of the tokens'
            )
        table = resample_bias_table(self.relative_position_bias_table, self.grid, grid)
        with_cls = q.shape[2] == grid[0] * grid[1] + 1
        index = relative_position_index(tuple(grid), with_cls, q.device)
        return q * self.scale, k, TableBias(table, index)


@constant
def _cell_indicator(height, width, dtype, device):
    """One-hot row and column of every cell: (H * W, H + W)."""
    rows = torch.eye(height, dtype=dtype, device=device).repeat_interleave(width, dim=0)
    columns = torch.eye(width, dtype=dtype, device=device).repeat(height, 1)
    return torch.cat([rows, columns], dim=1)


class DecomposedAttention(Attention):
    """Attention with query-dependent relative positions, decomposed by axis (MViTv2, ViTDet).

    The logits are ``s q k + q Rh[dy] + q Rw[dx]`` with the *unscaled* query in the last two terms
    (ViTDet, appendix A). ``q Rh`` and ``q Rw`` are appended to the scaled query, and one-hot rows
    and columns to the key, so that fused kernels run in linear memory. Tables of a ``grid`` (H, W)
    are shared by heads, initially zero, and linearly interpolated for another.
    """

    #: Add the (N, N) bias as ViTDet does: fewer operations but N^2 memory.
    explicit_bias = False

    def __init__(self, dim, num_heads, qkv_bias=True, grid=(14, 14)):
        super().__init__(dim, num_heads, qkv_bias)
        head_dim = dim // num_heads
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * grid[0] - 1, head_dim))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * grid[1] - 1, head_dim))

    def add_positions(self, q, k, grid):
        if grid is None or q.shape[2] != grid[0] * grid[1]:
            raise ArgumentError(
                f'decomposed relative positions require one token per cell, got {q.shape[2]} '
                f'tokens for grid {grid}'
            )
        H, W = grid
        cells = q.unflatten(2, (H, W))
        towards_rows = torch.einsum('bnhwd,hkd->bnhwk', cells, _shifts(self.rel_pos_h, H))
        towards_columns = torch.einsum('bnhwd,wkd->bnhwk', cells, _shifts(self.rel_pos_w, W))
        if self.explicit_bias:
            bias = towards_rows[..., :, None] + towards_columns[..., None, :]
            return q * self.scale, k, bias.flatten(4, 5).flatten(2, 3)
        q = torch.cat([cells * self.scale, towards_rows, towards_columns], dim=-1).flatten(2, 3)
        indicator = _cell_indicator(H, W, k.dtype, k.device)
        k = torch.cat([k, indicator.expand(*k.shape[:2], -1, -1)], dim=-1)
        return q.to(k.dtype), k, None


def _shifts(table, length):
    """Rows of a relative position table by (query, key) coordinate: (L, L, D)."""
    table = resample_rel_pos(table, 2 * length - 1)
    return table[_shift_index(length, table.device)]


@constant
def _shift_index(length, device):
    steps = torch.arange(length, device=device)
    return steps[:, None] - steps[None, :] + length - 1
