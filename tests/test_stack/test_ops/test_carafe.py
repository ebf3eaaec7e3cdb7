"""CARAFE against a plain slow version of what mmcv's kernel computes."""

import pytest
import torch
from mmcv.ops import CARAFE, CARAFENaive, CARAFEPack
from parity import check, maps, trains


def naive(features, masks, k, groups, scale):
    n, c, height, width = features.shape
    rows = []
    for i in range(height * scale):
        for j in range(width * scale):
            total = features.new_zeros(n, c)
            for dy in range(k):
                for dx in range(k):
                    y, x = i // scale + dy - k // 2, j // scale + dx - k // 2
                    if 0 <= y < height and 0 <= x < width:
                        kernels = masks[:, dy * k + dx :: k * k, i, j]  # (n, groups)
                        weights = kernels.repeat_interleave(c // groups, 1)
                        total = total + features[:, :, y, x] * weights
            rows.append(total)
    return torch.stack(rows, 2).view(n, c, height * scale, width * scale)


@pytest.mark.parametrize('module', [CARAFE, CARAFENaive])
@pytest.mark.parametrize(('k', 'groups', 'scale'), [(3, 2, 2), (5, 1, 2), (1, 4, 3), (3, 1, 1)])
def test_carafe(device, module, k, groups, scale):
    features = maps(2, 4, 3, 4)
    masks = torch.randn(2, groups * k * k, 3 * scale, 4 * scale, dtype=torch.float64)
    check(
        module(k, groups, scale),
        lambda features, masks: naive(features, masks, k, groups, scale),
        features,
        masks.requires_grad_(),
        device=device,
    )


def test_pack_trains(device):
    module = CARAFEPack(4, 2, compressed_channels=8).to(device)
    output = trains(module, maps(2, 4, 3, 5).float().to(device))
    assert output.shape == (2, 4, 6, 10)


def test_no_images(device):
    features, masks = maps(0, 4, 3, 4).to(device), maps(0, 18, 6, 8).to(device)
    assert CARAFE(3, 2, 2)(features, masks).shape == (0, 4, 6, 8)
