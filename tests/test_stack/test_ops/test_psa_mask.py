"""PSANet's masks against a plain slow version of what mmcv's kernel computes."""

import pytest
from mmcv.ops import PSAMask
from parity import check, maps


def naive(masks, psa_type, mask_h, mask_w):
    n, _, height, width = masks.shape
    output = masks.new_zeros(n, height * width, height, width)
    for h in range(height):
        for w in range(width):
            for y in range(height):
                for x in range(width):
                    row, column = y - h + (mask_h - 1) // 2, x - w + (mask_w - 1) // 2
                    if 0 <= row < mask_h and 0 <= column < mask_w:
                        value = masks[:, row * mask_w + column, h, w]
                        if psa_type == 'collect':
                            output[:, y * width + x, h, w] = value
                        else:
                            output[:, h * width + w, y, x] = value
    return output


@pytest.mark.parametrize('psa_type', ['collect', 'distribute'])
@pytest.mark.parametrize('mask_size', [(3, 5), (7, 9), (1, 1)])
@pytest.mark.parametrize('batch', [2, 0])
def test_psa_mask(device, psa_type, mask_size, batch):
    module = PSAMask(psa_type, mask_size)
    masks = maps(batch, mask_size[0] * mask_size[1], 4, 5)
    if batch:
        check(module, lambda masks: naive(masks, psa_type, *mask_size), masks, device=device)
    else:
        assert module(masks.to(device)).shape == (0, 20, 4, 5)
