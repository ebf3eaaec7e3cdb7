"""Deformable RoI pooling (Deformable ConvNets, Dai et al., ICCV 2017)."""

from torch.nn.modules.utils import _pair

from . import bins
from .common import widened


def deform_roi_pool(
    input, rois, offset, output_size, spatial_scale=1.0, sampling_ratio=0, gamma=0.1
):
    """RoIAlign with average pooling, each bin of which is moved by a learned offset.

    Of ``input`` (B, C, H, W) and ``rois`` (K, 5), index into the batch and corners in image pixels,
    it gives (K, C, *output_size). ``offset`` (K, 2, *output_size), x before y, counts in ``gamma``
    times the width and height of the box; None moves no bin. Gradients go to ``input`` and
    ``offset``. For the rest see :func:`~mmlite.stack.ops.roi_align.roi_align`, aligned.
    """
    pooled_h, pooled_w = _pair(output_size)
    pixels, rois, *offsets = widened(input, rois, *([] if offset is None else [offset]))
    index, *corners = rois.detach().unbind(1)
    x1, y1, x2, y2 = (corner * spatial_scale - 0.5 for corner in corners)
    x, weight_x = bins.positions(x2 - x1, pooled_w, sampling_ratio)
    y, weight_y = bins.positions(y2 - y1, pooled_h, sampling_ratio)
    x = x[:, None, :, None, :] + x1.view(-1, 1, 1, 1, 1)
    y = y[:, :, None, :, None] + y1.view(-1, 1, 1, 1, 1)
    for moves in offsets:
        move_x, move_y = (gamma * moves)[..., None, None].unbind(1)
        x = x + move_x * (x2 - x1).view(-1, 1, 1, 1, 1)
        y = y + move_y * (y2 - y1).view(-1, 1, 1, 1, 1)
    weights = (weight_y[:, :, None] * weight_x[:, None])[:, None, None]
    return bins.average(pixels, index, y, x, weights).to(input.dtype)
