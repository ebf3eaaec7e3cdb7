"""The layers against plain slow versions written out here."""

import numpy as np
import pytest
import torch
from torch import nn

from mmlite.errors import ArgumentError
from mmlite.models.layers import (
    Attention,
    BiasTableAttention,
    DecomposedAttention,
    from_windows,
    group_taps,
    join_units,
    reroll,
    resample_bias_table,
    resample_positions,
    resample_rel_pos,
    sincos_positions,
    to_windows,
    unroll,
)


def textbook_attention(attn, x, bias):
    """softmax(q k^T / sqrt(d) + bias) v with one product a head; bias (B, heads, N, N)."""
    q, k, v = attn.qkv(x).chunk(3, dim=-1)
    width = x.shape[-1] // attn.num_heads
    outs = []
    for h in range(attn.num_heads):
        part = slice(h * width, (h + 1) * width)
        logits = q[..., part] @ k[..., part].transpose(1, 2) / width**0.5 + bias(h, q[..., part])
        outs.append(logits.softmax(-1) @ v[..., part])
    return attn.proj(torch.cat(outs, dim=-1))


def decomposed_bias(attn, grid):
    """q . Rh[dy] + q . Rw[dx], cell by cell."""

    def bias(_, q):
        H, W = grid
        out = q.new_zeros(len(q), H * W, H * W)
        for i in range(H * W):
            for j in range(H * W):
                dy, dx = i // W - j // W, i % W - j % W
                table = attn.rel_pos_h[dy + H - 1] + attn.rel_pos_w[dx + W - 1]
                out[:, i, j] = q[:, i] @ table
        return out

    return bias


def filled(module):
    """The module with every parameter drawn at random, so that no term is zero."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module


def gradients(output, module):
    module.zero_grad()
    output.square().sum().backward()
    return [parameter.grad.clone() for parameter in module.parameters()]


@pytest.mark.parametrize('explicit', [False, True])
def test_decomposed_attention_equals_textbook_with_gradients(explicit):
    grid = (3, 5)
    attn = filled(DecomposedAttention(8, 2, grid=grid))
    attn.explicit_bias = explicit
    x = torch.randn(2, 15, 8)
    want = textbook_attention(attn, x, decomposed_bias(attn, grid))
    got, _ = attn(x, grid)
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(gradients(got, attn), gradients(want, attn), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ('attn', 'grid'),
    [
        (Attention(8, 2), None),
        (BiasTableAttention(8, 2, grid=(2, 3)), (2, 3)),
        (DecomposedAttention(8, 2, grid=(2, 3)), (2, 3)),
    ],
    ids=['plain', 'bias', 'decomposed'],
)
def test_taps_explain_the_output(attn, grid):
    filled(attn)
    x = torch.randn(2, 6, 8)
    out, none = attn(x, grid)
    tapped_out, taps = attn(x, grid, want=('q', 'k', 'v', 'attn_logits'))
    assert none == {}
    torch.testing.assert_close(tapped_out, out, rtol=1e-4, atol=1e-5)
    mixed = (taps['attn_logits'].softmax(-1) @ taps['v']).transpose(1, 2).flatten(2)
    torch.testing.assert_close(attn.proj(mixed), out, rtol=1e-4, atol=1e-5)
    if grid is None:
        logits = taps['q'] @ taps['k'].transpose(-2, -1) / 2  # head width 4
        torch.testing.assert_close(taps['attn_logits'], logits)


@pytest.mark.parametrize('grid', [(6, 6), (5, 7), (1, 4)])
def test_windows_cut_and_join(grid):
    H, W = grid
    x = torch.arange(H * W, dtype=torch.float).add(1).view(1, -1, 1).repeat(2, 1, 3)
    windows = to_windows(x, grid, 3)
    rows, columns = -(-H // 3), -(-W // 3)
    assert windows.shape == (2 * rows * columns, 9, 3)
    padded = np.zeros((rows * 3, columns * 3))
    padded[:H, :W] = x[0, :, 0].view(H, W)
    second_window = padded[:3, 3:6] if columns > 1 else padded[3:6, :3]
    np.testing.assert_array_equal(windows[1, :, 0].view(3, 3), second_window)
    torch.testing.assert_close(from_windows(windows, grid, 3), x)


def test_unrolled_pooling_is_spatial_max_pooling():
    x = torch.randn(2, 16, 24, 5)
    tokens = unroll(x, 3)
    pooled = tokens.unflatten(1, (4, -1)).amax(dim=1)
    units = (2, 3)
    want = nn.functional.max_pool2d(x.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)
    torch.testing.assert_close(join_units(reroll(pooled, 2), units), want)
    torch.testing.assert_close(join_units(reroll(tokens, 3), units), x)


def test_positions_resample_without_the_class_row():
    pos = torch.randn(1, 1 + 16, 8, requires_grad=True)
    out = resample_positions(pos, (6, 9))
    assert out.shape == (1, 55, 8)
    torch.testing.assert_close(out[:, 0], pos[:, 0])
    cells = pos[:, 1:].view(1, 4, 4, 8).permute(0, 3, 1, 2)
    want = nn.functional.interpolate(cells, size=(6, 9), mode='bicubic')
    torch.testing.assert_close(out[:, 1:].view(1, 6, 9, 8), want.permute(0, 2, 3, 1))
    out.sum().backward()
    assert pos.grad[:, 1:].abs().min() > 0


def test_bias_table_resampling_keeps_what_a_spline_keeps():
    """Constant and, along each axis, values at the shared geometric knots."""
    table = torch.ones(27 * 27 + 3, 2)
    grown = resample_bias_table(table, (14, 14), (32, 32))
    assert grown.shape == (63 * 63 + 3, 2)
    torch.testing.assert_close(grown, torch.ones_like(grown), rtol=0, atol=1e-4)
    torch.manual_seed(0)
    table = torch.randn(27 * 27 + 3, 2)
    grown = resample_bias_table(table, (14, 14), (32, 32))
    torch.testing.assert_close(grown[-3:], table[-3:])
    before, after = table[:-3].view(27, 27, 2), grown[:-3].view(63, 63, 2)
    # distances 0 and 1 are knots of both grids
    torch.testing.assert_close(after[30:33, 30:33], before[12:15, 12:15], rtol=1e-3, atol=1e-3)
    edge = after[[0, 0, 62, 62], [0, 62, 0, 62]]
    torch.testing.assert_close(edge, before[[0, 0, 26, 26], [0, 26, 0, 26]], rtol=1e-2, atol=1e-2)


def test_bias_table_resampling_is_differentiable_and_identity_at_the_same_size():
    table = torch.randn(27 * 27 + 3, 2, requires_grad=True)
    assert resample_bias_table(table, (14, 14), (14, 14)) is table
    resample_bias_table(table, (14, 14), (8, 20)).square().sum().backward()
    assert table.grad.abs().sum() > 0


def test_rel_pos_is_resized_linearly():
    table = torch.linspace(0, 26, 27)[:, None].repeat(1, 4)
    out = resample_rel_pos(table, 79)
    assert out.shape == (79, 4)
    assert (out[1:] >= out[:-1]).all()
    torch.testing.assert_close(out[39], table[13])  # distance zero stays in the middle


def test_constants_made_in_inference_mode_can_train():
    attn = filled(DecomposedAttention(8, 2, grid=(7, 9)))
    x = torch.randn(1, 63, 8)
    with torch.inference_mode():
        attn(x, (7, 9))
    attn(x, (7, 9))[0].sum().backward()
    assert attn.rel_pos_h.grad.abs().sum() > 0


def test_sincos_has_maes_layout():
    table = sincos_positions(8, (2, 3))
    assert table.shape == (1, 7, 8)
    assert table[0, 0].abs().sum() == 0
    row, column = 1, 2
    omega = np.array([1, 10000**-0.5])
    want = np.concatenate([f(n * omega) for n in (column, row) for f in (np.sin, np.cos)])
    np.testing.assert_allclose(table[0, 1 + row * 3 + column], want, rtol=1e-6)


@pytest.mark.parametrize(
    ('call', 'message'),
    [
        (lambda: BiasTableAttention(8, 2)(torch.randn(1, 4, 8)), 'requires the token grid'),
        (
            lambda: DecomposedAttention(8, 2, grid=(2, 3))(torch.randn(1, 5, 8), (2, 3)),
            'one token per cell, got 5',
        ),
        (lambda: resample_positions(torch.zeros(1, 12, 4), (3, 3)), 'not a square'),
        (lambda: group_taps(['norms'], 12), "unknown tap 'norms'"),
    ],
)
def test_wrong_arguments(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()
