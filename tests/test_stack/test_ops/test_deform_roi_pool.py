"""Deformable RoI pooling against a plain slow version of what mmcv's kernel computes."""

import pytest
import torch
from mmcv.ops import DeformRoIPool, DeformRoIPoolPack, ModulatedDeformRoIPoolPack, roi_align
from parity import ROIS, check, maps, pool_samples, trains


def naive(images, rois, offset, size, scale, sampling_ratio, gamma):
    boxes = []
    for (index, *corners), moves in zip(rois.tolist(), offset, strict=True):
        x1, y1, x2, y2 = (value * scale - 0.5 for value in corners)
        width, height = x2 - x1, y2 - y1

        def place(y, x, row, column, x1=x1, y1=y1, w=width, h=height, moves=moves):
            move_x, move_y = moves[:, row, column]
            return y1 + y + gamma * h * move_y, x1 + x + gamma * w * move_x

        boxes.append((index, height, width, place))
    return pool_samples(images, boxes, size, sampling_ratio)


@pytest.mark.parametrize('sampling_ratio', [0, 2])
@pytest.mark.parametrize('scale', [0.25, 0.5])
def test_deform_roi_pool(device, sampling_ratio, scale):
    settings = ((2, 3), scale, sampling_ratio, 0.3)
    images = maps()
    offset = torch.randn(len(ROIS), 2, 2, 3, dtype=torch.float64, requires_grad=True)
    check(
        DeformRoIPool(*settings),
        lambda images, rois, offset: naive(images, rois, offset, *settings),
        images,
        ROIS,
        offset,
        device=device,
        syncs=not sampling_ratio,
    )


def test_without_offsets_it_is_roi_align(device):
    images, rois = maps().to(device), ROIS.to(device)
    expected = roi_align(images, rois, (2, 3), 0.25, 0)
    torch.testing.assert_close(DeformRoIPool((2, 3), 0.25)(images, rois), expected)


@pytest.mark.parametrize('pack', [DeformRoIPoolPack, ModulatedDeformRoIPoolPack])
def test_packs_train(device, pack):
    module = pack((2, 3), 3, deform_fc_channels=8, spatial_scale=0.25).to(device)
    images = maps().detach().float().to(device).requires_grad_()
    output = trains(module, images, ROIS.float().to(device))
    assert output.shape == (len(ROIS), 3, 2, 3) and images.grad.any()
    assert module.offset_fc[-1].bias.grad.any()


@pytest.mark.parametrize('sampling_ratio', [0, 2])
def test_no_boxes(device, sampling_ratio):
    images = maps().detach().to(device).requires_grad_()
    offset = torch.zeros(0, 2, 4, 4, device=device, dtype=torch.float64, requires_grad=True)
    pool = DeformRoIPool(4, sampling_ratio=sampling_ratio)
    output = pool(images, ROIS[:0].to(device), offset)
    assert output.shape == (0, 3, 4, 4)
    output.sum().backward()
    assert not images.grad.any() and offset.grad.shape == offset.shape
