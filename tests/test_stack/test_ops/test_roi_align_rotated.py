"""RoIAlign of rotated boxes against a plain slow version of what mmcv's kernel computes."""

import math

import pytest
import torch
from mmcv.ops import RoIAlignRotated, roi_align, roi_align_rotated
from parity import ROIS, check, maps, pool_samples

ANGLES = torch.tensor([0.4, -2.0, 1.0, 3.0, 0.0], dtype=torch.float64)


def rotated(rois, angles=ANGLES):
    """Boxes of :data:`ROIS` by their center, size and angle."""
    center, size = (rois[:, 1:3] + rois[:, 3:]) / 2, rois[:, 3:] - rois[:, 1:3]
    return torch.cat([rois[:, :1], center, size, angles[:, None]], 1)


def naive(images, rois, size, scale, sampling_ratio, aligned, clockwise):
    boxes = []
    for index, *box, angle in rois.tolist():
        center_x, center_y, width, height = (value * scale for value in box)
        center_x, center_y = center_x - 0.5 * aligned, center_y - 0.5 * aligned
        if not aligned:
            width, height = max(width, 1.0), max(height, 1.0)
        turn = -angle if clockwise else angle

        def place(y, x, *_, h=height, w=width, cx=center_x, cy=center_y, turn=turn):
            y, x = y - h / 2, x - w / 2
            sin, cos = math.sin(turn), math.cos(turn)
            return y * cos - x * sin + cy, y * sin + x * cos + cx

        boxes.append((index, height, width, place))
    return pool_samples(images, boxes, size, sampling_ratio)


@pytest.mark.parametrize('aligned', [True, False])
@pytest.mark.parametrize('sampling_ratio', [0, 2])
@pytest.mark.parametrize(('scale', 'clockwise'), [(0.25, False), (0.5, True)])
def test_roi_align_rotated(device, aligned, sampling_ratio, scale, clockwise):
    settings = ((2, 3), scale, sampling_ratio, aligned, clockwise)
    check(
        RoIAlignRotated(*settings),
        lambda images, rois: naive(images, rois, *settings),
        maps(),
        rotated(ROIS),
        device=device,
        syncs=not sampling_ratio,
    )


def test_angle_of_zero_is_roi_align(device):
    images = maps().to(device)
    boxes = rotated(ROIS, torch.zeros(5)).to(device)
    expected = roi_align(images, ROIS.to(device), 4, 0.25, 3)
    torch.testing.assert_close(roi_align_rotated(images, boxes, 4, 0.25, 3), expected)


@pytest.mark.parametrize('sampling_ratio', [0, 2])
def test_no_boxes(device, sampling_ratio):
    images = maps().detach().to(device).requires_grad_()
    output = roi_align_rotated(images, rotated(ROIS)[:0].to(device), 2, 1.0, sampling_ratio)
    assert output.shape == (0, 3, 2, 2)
    output.sum().backward()
    assert not images.grad.any()
