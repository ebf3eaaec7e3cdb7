"""RoIPool against a plain slow version of what mmcv's kernel computes."""

import math

import pytest
import torch
from mmcv.ops import RoIPool, roi_pool
from parity import ROIS, check, maps


def naive(images, rois, size, scale):
    outputs = []
    for index, x1, y1, x2, y2 in rois.tolist():
        x1, y1, x2, y2 = x1 * scale, y1 * scale, (x2 + 1) * scale, (y2 + 1) * scale
        step_y, step_x = (y2 - y1) / size[0], (x2 - x1) / size[1]
        for row in range(size[0]):
            for column in range(size[1]):
                top, bottom = math.floor(y1 + row * step_y), math.ceil(y1 + (row + 1) * step_y)
                left, right = (
                    math.floor(x1 + column * step_x),
                    math.ceil(x1 + (column + 1) * step_x),
                )
                bin = images[
                    int(index), :, max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)
                ]
                empty = step_y <= 0 or step_x <= 0 or not bin.numel()
                outputs.append(images.new_zeros(images.shape[1]) if empty else bin.amax((1, 2)))
    return torch.stack(outputs).view(len(rois), *size, -1).permute(0, 3, 1, 2)


@pytest.mark.parametrize('scale', [0.25, 0.3, 1.0])
def test_roi_pool(device, scale):
    more = torch.tensor([[1, 9.0, 9.0, 4.0, 4.0], [0, 3, 3, 2, 9], [0, 90, 90, 99, 99]])
    check(
        RoIPool((2, 3), scale),
        lambda images, rois: naive(images, rois, (2, 3), scale),
        maps(),
        torch.cat([ROIS, more]),  # upside down, no width, outside
        device=device,
    )


def test_no_boxes(device):
    images = maps().detach().to(device).requires_grad_()
    output = roi_pool(images, ROIS[:0].to(device), 2)
    assert output.shape == (0, 3, 2, 2)
    output.sum().backward()
    assert not images.grad.any()
