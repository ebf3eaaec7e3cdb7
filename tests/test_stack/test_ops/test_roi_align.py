"""RoIAlign against a plain slow version of what mmcv's kernel computes."""

import math

import pytest
import torch
from mmcv.ops import RoIAlign, roi_align


def bilinear(plane, y, x):
    """``plane (C, H, W)`` at a point; 0 where it is more than a pixel outside."""
    height, width = plane.shape[1:]
    if not (-1 <= y <= height and -1 <= x <= width):
        return plane.new_zeros(len(plane))
    y, x = min(max(y, 0.0), height - 1.0), min(max(x, 0.0), width - 1.0)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    dy, dx = y - top, x - left
    upper = (1 - dx) * plane[:, top, left] + dx * plane[:, top, right]
    lower = (1 - dx) * plane[:, bottom, left] + dx * plane[:, bottom, right]
    return (1 - dy) * upper + dy * lower


def naive_roi_align(images, rois, size, scale, sampling_ratio, aligned):
    """RoIAlign by loops over boxes, bins and samples; autograd gives its gradient."""
    outputs = []
    for index, *corners in rois.tolist():
        x1, y1, x2, y2 = (value * scale - 0.5 * aligned for value in corners)
        width, height = x2 - x1, y2 - y1
        if not aligned:
            width, height = max(width, 1.0), max(height, 1.0)
        bin_h, bin_w = height / size[0], width / size[1]
        ny = sampling_ratio or math.ceil(bin_h)
        nx = sampling_ratio or math.ceil(bin_w)
        for row in range(size[0]):
            for column in range(size[1]):
                samples = [
                    bilinear(
                        images[int(index)],
                        y1 + bin_h * (row + (i + 0.5) / ny),
                        x1 + bin_w * (column + (j + 0.5) / nx),
                    )
                    for i in range(ny)
                    for j in range(nx)
                ]
                outputs.append(sum(samples, images.new_zeros(images.shape[1])) / max(ny * nx, 1))
    return torch.stack(outputs).view(len(rois), *size, -1).permute(0, 3, 1, 2)


ROIS = torch.tensor(
    [
        [0, 2.3, 1.1, 20.7, 25.9],
        [1, 0.0, 0.0, 35.9, 27.9],
        [1, -6.0, 3.0, 9.0, 50.0],  # outside in part
        [0, 5.0, 5.0, 6.0, 6.0],  # less than a feature pixel
        [0, 7.0, 7.0, 7.0, 7.0],  # no area
    ]
)


@pytest.mark.parametrize('aligned', [True, False])
@pytest.mark.parametrize('sampling_ratio', [0, 2])
@pytest.mark.parametrize('scale', [0.25, 1.0])
def test_roi_align_and_its_gradient(device, aligned, sampling_ratio, scale):
    torch.manual_seed(0)
    images = torch.randn(2, 3, 7, 9, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(len(ROIS), 3, 2, 3, dtype=torch.float64)
    settings = ((2, 3), scale, sampling_ratio)
    expected = naive_roi_align(images, ROIS.double(), *settings, aligned)
    (expected_grad,) = torch.autograd.grad((expected * weight).sum(), images)

    there = images.detach().to(device).requires_grad_()
    output = RoIAlign(*settings, aligned=aligned)(there, ROIS.double().to(device))
    (grad,) = torch.autograd.grad((output * weight.to(device)).sum(), there)
    torch.testing.assert_close(output.cpu(), expected, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(grad.cpu(), expected_grad, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_roi_align_computes_half_precision_in_float32(device, dtype):
    torch.manual_seed(0)
    images = torch.randn(2, 3, 7, 9).to(device, dtype).requires_grad_()
    rois = ROIS.to(device)
    output = roi_align(images, rois, (2, 3), 0.25, 2)
    exact = roi_align(images.detach().float(), rois, (2, 3), 0.25, 2)
    assert output.dtype == dtype and torch.equal(output, exact.to(dtype))
    output.sum().backward()
    assert images.grad.dtype == dtype and images.grad.abs().sum() > 0
