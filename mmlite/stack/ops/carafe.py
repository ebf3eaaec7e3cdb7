"""CARAFE: Content-Aware ReAssembly of FEatures (Wang et al., ICCV 2019)."""

import torch
from torch.nn import functional as F

from .common import widened


def carafe(features, masks, kernel_size, group_size, scale_factor):
    """Upsampling of ``features`` (N, C, H, W) by kernels predicted for each output pixel.

    Output pixel (i, j) of (N, C, sH, sW) is the sum over the kernel_size^2 neighbors of the cell
    (i // s, j // s), zeros outside, weighted by ``masks`` (N, group_size * kernel_size^2, sH, sW)
    as they are. Each group of C / group_size consecutive channels shares a kernel.
    """
    n, c, height, width = features.shape
    images, channels, taps = n * group_size, c // group_size, kernel_size**2
    size, pixels = masks.shape[2:], masks.shape[2] * masks.shape[3]
    cells, kernels = widened(features, masks)
    steps = torch.arange(kernel_size, device=cells.device) - kernel_size // 2
    y, x = (
        (torch.arange(length, device=cells.device) // scale_factor)[:, None] + steps
        for length in size
    )
    inside_y, inside_x = (y >= 0) & (y < height), (x >= 0) & (x < width)
    inside = inside_y[:, None, :, None] & inside_x[None, :, None]  # (sH, sW, k, k)
    cell = y.clamp(0, height - 1)[:, None, :, None] * width + x.clamp(0, width - 1)[None, :, None]
    first = torch.arange(images, device=cells.device).view(-1, 1, 1) * (height * width)
    weights = kernels.reshape(images, taps, pixels).transpose(1, 2) * inside.view(pixels, taps)
    # one fused sum, without the neighbors of each pixel in memory
    output = F.embedding_bag(
        (first + cell.view(pixels, taps)).flatten(0, 1),
        cells.reshape(images, channels, height * width).transpose(1, 2).flatten(0, 1),
        mode='sum',
        per_sample_weights=weights.flatten(0, 1),
    )
    output = output.view(images, pixels, channels).transpose(1, 2)
    return output.reshape(n, c, *size).to(features.dtype)
