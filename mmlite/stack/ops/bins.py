"""Bilinear samples of the bins of boxes, as RoIAlign takes them (He et al., ICCV 2017)."""

import torch
from torch.nn import functional as F


def positions(size, bins, sampling_ratio):
    """Places of the samples of each bin along an axis of boxes ``size`` (K,), in feature pixels.

    Returns (K, bins, S), measured from the start of the box, and their weights (K, S), which add up
    to 1. A box has ``sampling_ratio`` samples in a bin, or, if that is 0, as many as the bin has
    pixels; then S, the most of any box, is read from the device, and the others have weight 0.
    """
    if sampling_ratio > 0:
        count, most = torch.full_like(size, sampling_ratio), sampling_ratio
    else:
        count = (size / bins).ceil().clamp(min=0)
        most = max(1, int(count.max())) if len(count) else 1
    sample = torch.arange(most, device=size.device)
    count = count[:, None]
    within = (sample + 0.5) / count.clamp(min=1)
    number = torch.arange(bins, device=size.device)[:, None]
    places = (number + within[:, None]) * (size / bins)[:, None, None]
    return places, (sample < count) / count.clamp(min=1)


def average(input, index, y, x, weights):
    """Weighted sums of bilinear samples of the images ``index`` (K,) of ``input`` (B, C, H, W).

    The samples are at ``y``, ``x`` in pixels, whose centers are integers; with their ``weights``
    these broadcast to (K, ph, pw, Sy, Sx). Returns (K, C, ph, pw), differentiable with respect to
    ``input``, ``y`` and ``x``. The image continues its border for a pixel, and is 0 beyond.
    """
    height, width = input.shape[2:]
    inside = (y >= -1) & (y <= height) & (x >= -1) & (x <= width)
    y, x = y.clamp(0, height - 1), x.clamp(0, width - 1)
    y, x = y.nan_to_num(0), x.nan_to_num(0)  # not inside either; an index must not be NaN
    top, left = y.detach().long(), x.detach().long()
    bottom, right = (top + 1).clamp(max=height - 1), (left + 1).clamp(max=width - 1)
    dy, dx = y - top, x - left
    rows, columns = torch.stack([top, bottom]), torch.stack([left, right])
    pixel = (index.long().view(-1, 1, 1, 1, 1) * height + rows[:, None]) * width + columns
    weight = torch.stack([1 - dy, dy])[:, None] * torch.stack([1 - dx, dx]) * (weights * inside)
    # one fused sum, without the corners of each sample in each channel in memory
    bags = [t.expand_as(weight).movedim((0, 1), (-2, -1)).flatten(3) for t in (pixel, weight)]
    k, pooled_h, pooled_w, _ = bags[0].shape
    pixel, weight = (t.flatten(0, 2) for t in bags)
    table = input.permute(0, 2, 3, 1).flatten(0, 2)
    output = F.embedding_bag(pixel, table, mode='sum', per_sample_weights=weight)
    return output.view(k, pooled_h, pooled_w, table.shape[1]).permute(0, 3, 1, 2).contiguous()
