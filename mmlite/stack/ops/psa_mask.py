"""Masks of PSANet (Point-wise Spatial Attention Network, Zhao et al., ECCV 2018)."""

import torch
from torch.nn.modules.utils import _pair

COLLECT = 0  # mmcv's code; 1 is to distribute


def psa_mask(input, psa_type, mask_size):
    """Attention between all pairs of pixels from each pixel's mask of its neighborhood.

    Of ``input`` (N, mh * mw, H, W), the mask (mh, mw) centered on each source pixel, it gives
    (N, H * W, H, W): channel = target at the source pixel if ``psa_type`` is 0 (collect), channel =
    source at the target pixel if it is 1 (distribute). It is 0 outside of the mask.
    """
    mask_h, mask_w = _pair(mask_size)
    n, _, height, width = input.shape
    rows, columns = (torch.arange(size, device=input.device) for size in (height, width))
    dy = rows[:, None] - rows + (mask_h - 1) // 2  # (target, source): row in the source's mask
    dx = columns[:, None] - columns + (mask_w - 1) // 2
    inside_y, inside_x = (dy >= 0) & (dy < mask_h), (dx >= 0) & (dx < mask_w)
    channel = dy[:, None, :, None] * mask_w + dx[None, :, None, :]
    inside = inside_y[:, None, :, None] & inside_x[None, :, None, :]
    shape = height * width, height * width
    channel, inside = (channel * inside).view(shape), inside.view(shape)
    output = input.flatten(2).gather(1, channel.expand(n, *shape)).where(inside, 0)
    if psa_type != COLLECT:
        output = output.transpose(1, 2)
    return output.reshape(n, height * width, height, width)
