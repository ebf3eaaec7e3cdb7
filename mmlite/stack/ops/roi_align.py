"""RoIAlign (Mask R-CNN, He et al., ICCV 2017) on torchvision's kernel."""

import torch
import torchvision
from torch.nn import functional as F
from torch.nn.modules.utils import _pair

from .common import widened


def roi_align(
    input, rois, output_size, spatial_scale=1.0, sampling_ratio=0, pool_mode='avg', aligned=True
):
    """RoIAlign (He et al., ICCV 2017), in place of ``mmcv.ops.roi_align``.

    Of ``input`` (B, C, H, W) and ``rois`` (K, 5), index into the batch and corners in image pixels,
    it gives (K, C, *output_size). ``spatial_scale`` is in feature pixels per image pixel;
    ``sampling_ratio`` counts samples per bin and axis, 0 for as many as the bin has pixels; if
    ``aligned``, the center of the first pixel is at 0.5. ``pool_mode`` is ``'avg'`` or ``'max'``
    of the samples; the maximum of no samples is -FLT_MAX, as mmcv's. A corner that is infinite or
    NaN, as of a network that diverged, counts as 0: torchvision's kernel would crash.
    """
    pixels, boxes = widened(input, rois)
    boxes = boxes.nan_to_num(nan=0, posinf=0, neginf=0)
    pool = _average if pool_mode == 'avg' else _maximum
    options = (_pair(output_size), spatial_scale, sampling_ratio, aligned)
    return pool(pixels, boxes, *options).to(input.dtype)


_average = torchvision.ops.roi_align


def _maximum(pixels, boxes, output_size, scale, sampling_ratio, aligned):
    """Maxima of what RoIAlign gives with a bin for each sample."""
    if sampling_ratio > 0:
        bins = [size * sampling_ratio for size in output_size]
        return F.max_pool2d(_average(pixels, boxes, bins, scale, 1, aligned), sampling_ratio)
    # in the order of mmcv's roundings, as a sample more or less is at stake
    sizes = (boxes[:, 3:] * scale - 0.5 * aligned) - (boxes[:, 1:3] * scale - 0.5 * aligned)
    sizes = sizes if aligned else sizes.clamp(min=1)
    counts = (sizes / sizes.new_tensor(output_size[::-1])).ceil().clamp(min=0).long()
    groups, group = counts.unique(dim=0, return_inverse=True)  # of boxes with as many samples
    maxima, order = [], []
    for number, (columns, rows) in enumerate(groups.tolist()):
        (members,) = (group == number).nonzero(as_tuple=True)
        if rows and columns:
            bins = [output_size[0] * rows, output_size[1] * columns]
            samples = _average(pixels, boxes[members], bins, scale, 1, aligned)
            maxima.append(F.max_pool2d(samples, (rows, columns)))
        else:
            shape = len(members), pixels.shape[1], *output_size
            maxima.append(pixels.new_full(shape, torch.finfo(torch.float32).min))
        order.append(members)
    if not order:
        return _average(pixels, boxes, output_size, scale, 1, aligned)
    return torch.cat(maxima)[torch.cat(order).argsort()]
