"""Deformable convolution with a mask (DCNv2, Zhu et al., CVPR 2019) on torchvision's kernel."""

import torch
import torchvision
from torch.nn.modules.utils import _pair

from .common import widened

FAR = -1e6
"""Position in pixels that is outside of any image."""


def modulated_deform_conv2d(
    input, offset, mask, weight, bias=None, stride=1, padding=0, dilation=1, groups=1,
    deform_groups=1,
):  # fmt: skip
    """Convolution whose kernel points are moved by ``offset`` and weighed by ``mask``.

    Of ``input`` (B, C, H, W) and ``weight`` (O, C / groups, kh, kw) it gives (B, O, h, w) of the
    type of ``offset``. ``offset`` (B, deform_groups * kh * kw * 2, h, w) holds y and x of each
    point in pixels, and ``mask`` is (B, deform_groups * kh * kw, h, w), or None for 1 everywhere.
    With a mask, both may be larger than h x w, as in DyHead: the memory of each image is then read
    as if it had that size. A point a pixel or more outside, or at NaN, is 0 and has no gradient.
    Raises ValueError for an input that is not 4D or smaller than the kernel.
    """
    if input.dim() != 4:
        raise ValueError(f'Expected 4D tensor as input, got {input.dim()}D tensor instead.')
    options = stride, padding, dilation = _pair(stride), _pair(padding), _pair(dilation)
    kernel = weight.shape[2:]
    size = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(input.shape[2:], kernel, *options, strict=True)
    ]
    if min(size) < 1:
        raise ValueError(f'convolution input is too small (output would be {size[0]}x{size[1]})')

    output_type = offset.dtype
    input, offset, mask, weight, bias = widened(input, offset, mask, weight, bias)
    if mask is not None:
        offset, mask = _reread(offset, size), _reread(mask, size)
    offset = _fixed_outside(offset, input.shape[2:], kernel, *options, deform_groups)
    output = torchvision.ops.deform_conv2d(input, offset, weight, bias, *options, mask)
    return output.to(output_type)


def _reread(points, size):
    """The memory of each image of ``points`` (B, C, H, W), read as if its size were ``size``."""
    if points.shape[2:] == torch.Size(size):
        return points
    length = points.shape[1] * size[0] * size[1]
    return points.flatten(1)[:, :length].unflatten(1, (points.shape[1], *size))


def _fixed_outside(offset, size, kernel, stride, padding, dilation, deform_groups):
    """The offset without the gradient of points that are a pixel or more outside.

    At exactly -1, torchvision's kernel gives the gradient from within. Offsets of 0, from which
    every training starts, put the points of a padded border there. NaN, with which it reads memory
    that is not the image's, becomes a point far outside.
    """
    offset = offset.nan_to_num(nan=FAR, posinf=FAR, neginf=FAR)
    kh, kw = kernel
    points = offset.unflatten(1, (deform_groups, kh, kw, 2))
    outside = False
    for axis, position in enumerate(points.unbind(4)):  # (B, deform_groups, kh, kw, h, w)
        step = [1] * 4
        lines = torch.arange(position.shape[4 + axis], device=offset.device) * stride[axis]
        taps = torch.arange(kernel[axis], device=offset.device) * dilation[axis] - padding[axis]
        step[axis], step[2 + axis] = len(taps), len(lines)
        position = position + (taps[:, None] + lines).view(step)
        outside = outside | (position <= -1) | (position >= size[axis])
    return torch.where(outside.unsqueeze(4), points.detach(), points).flatten(1, 4)
