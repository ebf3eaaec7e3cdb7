"""RoIPool (Fast R-CNN, Girshick, ICCV 2015) on torchvision's kernel, with mmcv's bins."""

import torch
import torchvision
from torch.nn.modules.utils import _pair

from .common import widened


def roi_pool(input, rois, output_size, spatial_scale=1.0):
    """Maximum of ``input`` (B, C, H, W) over each bin of ``rois`` (K, 5): (K, C, *output_size).

    A box (index into the batch, x1, y1, x2, y2 in pixels of the image) ends at x2 + 1, y2 + 1. Its
    bins, not its corners as in torchvision, are rounded, outwards. A bin without a pixel and a box
    without an area give 0.
    """
    pooled_h, pooled_w = _pair(output_size)
    pixels, rois = widened(input, rois)
    index, corners = rois[:, :1], rois[:, 1:]
    starts = corners[:, :2] * spatial_scale
    sizes = (corners[:, 2:] + 1) * spatial_scale - starts
    (left, right), (top, bottom) = (
        _edges(starts[:, i : i + 1], sizes[:, i : i + 1], bins, input.shape[3 - i])
        for i, bins in enumerate((pooled_w, pooled_h))
    )
    shape = len(rois), pooled_h, pooled_w
    left, right, top, bottom = (
        edge.expand(shape)
        for edge in (left[:, None], right[:, None], top[:, :, None], bottom[:, :, None])
    )
    empty = (right <= left) | (bottom <= top) | (sizes <= 0).any(1)[:, None, None]
    # a box of each bin, its last pixel included; those of empty bins lie beyond the map
    box = torch.stack([left, top, right - 1, bottom - 1], 3)
    box = box.masked_fill(empty[..., None], max(input.shape[2:]) + 1)
    boxes = torch.cat([index[:, None, None].expand(*shape, 1), box], 3).flatten(0, 2)
    output = torchvision.ops.roi_pool(pixels, boxes, 1)
    return output.view(*shape, input.shape[1]).permute(0, 3, 1, 2).to(input.dtype).contiguous()


def _edges(start, size, bins, limit):
    """First pixels and the ends of the bins along an axis, (K, bins) each, within the map."""
    step, numbers = size / bins, torch.arange(bins, device=size.device)
    return (
        (numbers * step + start).floor().clamp(0, limit),
        ((numbers + 1) * step + start).ceil().clamp(0, limit),
    )
