"""RoIAlign against a plain slow version of what mmcv's kernel computes."""

import pytest
import torch
from mmcv.ops import RoIAlign, roi_align
from parity import ROIS, check, maps, mean, pool_samples

LOWEST = torch.finfo(torch.float32).min


def maximum(samples):
    return torch.stack(samples).amax(0) if samples else LOWEST


def naive_roi_align(images, rois, size, scale, sampling_ratio, pool_mode, aligned):
    boxes = []
    for index, *corners in rois.tolist():
        x1, y1, x2, y2 = (value * scale - 0.5 * aligned for value in corners)
        width, height = x2 - x1, y2 - y1
        if not aligned:
            width, height = max(width, 1.0), max(height, 1.0)
        boxes.append((index, height, width, lambda y, x, *_, y1=y1, x1=x1: (y1 + y, x1 + x)))
    reduce = mean if pool_mode == 'avg' else maximum
    return pool_samples(images, boxes, size, sampling_ratio, reduce)


@pytest.mark.parametrize('pool_mode', ['avg', 'max'])
@pytest.mark.parametrize('aligned', [True, False])
@pytest.mark.parametrize('sampling_ratio', [0, 2])
@pytest.mark.parametrize('scale', [0.25, 0.5])
def test_roi_align(device, pool_mode, aligned, sampling_ratio, scale):
    settings = ((2, 3), scale, sampling_ratio, pool_mode, aligned)
    check(
        RoIAlign(*settings),
        lambda images, rois: naive_roi_align(images, rois, *settings),
        maps(),
        ROIS,
        device=device,
        # a maximum has no derivative where two samples are equal, as those beyond a border
        differentiable=pool_mode == 'avg',
        syncs=pool_mode == 'max' and not sampling_ratio,
    )


@pytest.mark.parametrize('pool_mode', ['avg', 'max'])
@pytest.mark.parametrize('sampling_ratio', [0, 2])
@pytest.mark.parametrize('batch', [0, 2])
def test_no_boxes(device, pool_mode, sampling_ratio, batch):
    images = maps(batch).detach().to(device).requires_grad_()
    output = roi_align(images, ROIS[:0].to(device), 2, 1.0, sampling_ratio, pool_mode)
    assert output.shape == (0, 3, 2, 2)
    output.sum().backward()
    assert images.grad.shape == images.shape and not images.grad.any()


@pytest.mark.parametrize('pool_mode', ['avg', 'max'])
@pytest.mark.parametrize('sampling_ratio', [0, 2])
@pytest.mark.parametrize('corner', [torch.nan, torch.inf, -torch.inf])
def test_boxes_that_are_nowhere(device, pool_mode, sampling_ratio, corner):
    """As of a network that diverged: no crash, and nothing changes for the other boxes."""
    rois = torch.tensor([[0, corner, 1, 4, 5], [1, 1, 2, 5, 6.0]], device=device)
    output = roi_align(maps().to(device), rois, 2, 1.0, sampling_ratio, pool_mode)
    zero = roi_align(maps().to(device), rois.nan_to_num(0, 0, 0), 2, 1.0, sampling_ratio, pool_mode)
    assert torch.equal(output, zero)
