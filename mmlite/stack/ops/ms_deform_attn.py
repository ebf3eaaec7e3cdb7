"""Multi-scale deformable attention (Deformable DETR, Zhu et al., ICLR 2021), eq. 3."""

import torch
import torch.nn.functional as F

from .common import widened


def ms_deform_attn(
    value, spatial_shapes, level_start_index, sampling_locations, attention_weights, im2col_step=64
):
    """Weighted sums of bilinear samples of a pyramid's features, of each query and head.

    ``value`` (B, S, M, D) holds the S pixels of L levels of ``spatial_shapes`` (L, 2), height and
    width, from ``level_start_index`` (L,) on, for M heads. ``sampling_locations`` (B, Q, M, L, P,
    2) are x and y in units of the level's size, with the centre of the first pixel at 0.5 pixels;
    ``attention_weights`` (B, Q, M, L, P) are used as they are. Pixels outside are 0. Returns (B, Q,
    M * D) of the type of ``value``. A sample a pixel or more outside has no gradient.
    ``im2col_step`` is of no consequence.

    Each sum is a bag of 4 * L * P rows of ``value``, so that no sample is ever stored.
    """
    batch, pixels, heads, channels = value.shape
    _, queries, _, levels, points, _ = sampling_locations.shape
    height, width = spatial_shapes[:, :, None].unbind(1)
    rows, locations, weights = widened(value, sampling_locations, attention_weights)

    x, y = (locations * spatial_shapes.flip(1)[:, None] - 0.5).unbind(-1)
    inside = (x > -1) & (x < width) & (y > -1) & (y < height)
    x, y = (torch.where(inside, at, -2) for at in (x, y))  # where no pixel has a share
    left, top = x.detach().floor(), y.detach().floor()
    lower = (y - top) * weights
    upper = (weights - lower) * (top >= 0)
    lower = lower * (top < height - 1)
    right = x - left
    sides = (1 - right) * (left >= 0), right * (left < width - 1)
    shares = [part * side for part in (upper, lower) for side in sides]

    left, top = left.long(), top.long()
    columns = [column.clamp(min=0).minimum(width - 1) for column in (left, left + 1)]
    lines = [line.clamp(min=0).minimum(height - 1) * width for line in (top, top + 1)]
    first = torch.arange(batch, device=value.device)[:, None, None, None, None] * pixels
    first = first + level_start_index[:, None]  # (B, 1, 1, L, 1)
    head = torch.arange(heads, device=value.device)[:, None, None]
    indices = [(first + line + column) * heads + head for line in lines for column in columns]

    rows = rows.reshape(-1, channels)
    bags = torch.stack(indices, 3).view(-1, 4 * levels * points)
    shares = torch.stack(shares, 3).view(bags.shape)
    output = F.embedding_bag(bags, rows.detach(), per_sample_weights=shares, mode='sum')
    output = RowGradient.apply(output, rows, bags, shares.detach())
    return output.view(batch, queries, heads * channels).to(value.dtype)


class RowGradient(torch.autograd.Function):
    """Gradient of the rows (R, D) of bags (N, K) by a bag for each row.

    That of ``embedding_bag`` itself allocates (N * K, D) on a GPU.
    """

    @staticmethod
    def forward(ctx, output, rows, bags, shares):
        ctx.save_for_backward(bags, shares)
        ctx.count = len(rows)
        return output.view_as(output)

    @staticmethod
    def backward(ctx, grad):
        bags, shares = ctx.saved_tensors
        row, order = bags.flatten().sort()
        starts = torch.searchsorted(row, torch.arange(ctx.count, device=row.device))
        options = dict(per_sample_weights=shares.flatten()[order], mode='sum')
        return grad, F.embedding_bag(order // bags.shape[1], grad, starts, **options), None, None
