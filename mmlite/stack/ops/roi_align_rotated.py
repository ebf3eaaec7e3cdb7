"""RoIAlign of rotated boxes (Arbitrary-Oriented Scene Text Detection, Ma et al., TMM 2018)."""

from torch.nn.modules.utils import _pair

from . import bins
from .common import widened


def roi_align_rotated(
    input, rois, output_size, spatial_scale, sampling_ratio=0, aligned=True, clockwise=False
):
    """RoIAlign with average pooling of rotated boxes.

    Of ``input`` (B, C, H, W) and ``rois`` (K, 6), index into the batch, center x and y, width and
    height in image pixels, angle in radians, it gives (K, C, *output_size). Gradients go to
    ``input``. For the rest see :func:`~mmlite.stack.ops.roi_align.roi_align`.
    """
    pooled_h, pooled_w = _pair(output_size)
    pixels, rois = widened(input, rois)
    index, *box, angle = rois.detach().unbind(1)
    center_x, center_y, width, height = (value * spatial_scale for value in box)
    if not aligned:
        width, height = width.clamp(min=1), height.clamp(min=1)
    x, weight_x = bins.positions(width, pooled_w, sampling_ratio)
    y, weight_y = bins.positions(height, pooled_h, sampling_ratio)
    x = (x - width.view(-1, 1, 1) / 2)[:, None, :, None, :]
    y = (y - height.view(-1, 1, 1) / 2)[:, :, None, :, None]
    cos, sin, center_x, center_y = (
        value.view(-1, 1, 1, 1, 1)
        for value in (
            angle.cos(),
            angle.sin() * (-1 if clockwise else 1),
            center_x - 0.5 * aligned,
            center_y - 0.5 * aligned,
        )
    )
    weights = (weight_y[:, :, None] * weight_x[:, None])[:, None, None]
    x, y = y * sin + x * cos + center_x, y * cos - x * sin + center_y
    return bins.average(pixels, index, y, x, weights).to(input.dtype)
