"""Windows of a token grid and Hiera's mask units, as pure reshaping functions."""

import torch
import torch.nn.functional as F


def to_windows(x, grid, window, shift=0):
    """Cut tokens (B, H * W, C) of a zero-padded grid into windows (B * windows, window^2, C).

    The first window starts ``shift`` rows and columns from the corner; the last ones wrap around.
    """
    H, W = grid
    x = x.unflatten(1, (H, W))
    x = F.pad(x, (0, 0, 0, -W % window, 0, -H % window))
    x = torch.roll(x, (-shift, -shift), (1, 2)) if shift else x
    B, H, W, C = x.shape
    x = x.view(B, H // window, window, W // window, window, C).transpose(2, 3)
    return x.reshape(-1, window * window, C)


def from_windows(x, grid, window, shift=0):
    """Inverse of :func:`to_windows`: (B * windows, window^2, C) to (B, H * W, C)."""
    H, W = grid
    rows, columns = -(-H // window), -(-W // window)
    x = x.view(-1, rows, columns, window, window, x.shape[-1]).transpose(2, 3)
    x = x.reshape(-1, rows * window, columns * window, x.shape[-1])
    x = torch.roll(x, (shift, shift), (1, 2)) if shift else x
    return x[:, :H, :W].flatten(1, 2)


def unroll(x, levels):
    """Order a token map so that 2x2 pooling and mask units are contiguous (Hiera, section 3).

    A map (B, H, W, C) becomes tokens (B, 4^levels * units, C), the finest 2x2 split first and the
    unit index fastest: ``view(B, 4, N // 4, C).amax(1)`` pools, ``view(B, -1, units, C)[:, :, u]``
    is a unit.
    """
    B, H, W, C = x.shape
    side = 2**levels
    bits = (2,) * levels
    x = x.view(B, H // side, *bits, W // side, *bits, C)
    # axes: 0 batch, 1 unit row, 2 .. row bits (coarsest first), then the same for columns
    column = 2 + levels
    order = [axis for i in range(levels, 0, -1) for axis in (1 + i, column + i)]
    return x.permute(0, *order, 1, column, 2 * levels + 3).reshape(B, -1, C)


def reroll(x, levels):
    """Turn unrolled tokens (B, 4^levels * units, C) into maps (B, units, 2^levels, 2^levels, C)."""
    B, N, C = x.shape
    units = N // 4**levels
    x = x.view(B, *(2,) * (2 * levels), units, C)
    rows = [2 * i + 1 for i in reversed(range(levels))]
    columns = [axis + 1 for axis in rows]
    side = 2**levels
    return x.permute(0, 2 * levels + 1, *rows, *columns, 2 * levels + 2).reshape(
        B, units, side, side, C
    )


def join_units(x, units):
    """Join maps (B, rows * columns, h, w, C) into one, (B, rows * h, columns * w, C)."""
    B, _, h, w, C = x.shape
    rows, columns = units
    return x.unflatten(1, units).transpose(2, 3).reshape(B, rows * h, columns * w, C)
