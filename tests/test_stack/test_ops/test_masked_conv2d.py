"""The masked convolution against the plain one."""

import pytest
import torch
from mmcv.ops import MaskedConv2d
from mmcv.ops.masked_conv import masked_conv2d
from parity import check, maps


@pytest.mark.parametrize(('kernel', 'padding'), [(3, 1), ((1, 3), (0, 1)), (1, 0)])
def test_masked_conv2d(device, kernel, padding):
    features = maps(1)
    mask = (torch.randn(1, 7, 9) > 0.5).double()
    conv = torch.nn.Conv2d(3, 4, kernel, padding=padding).double()

    def slow(features, mask, weight, bias):
        output = torch.nn.functional.conv2d(features, weight, bias, padding=padding)
        return output * (mask > 0)[:, None]

    check(
        lambda features, mask, weight, bias: masked_conv2d(features, mask, weight, bias, padding),
        slow,
        features,
        mask,
        conv.weight.detach().requires_grad_(),
        conv.bias.detach().requires_grad_(),
        device=device,
        half=False,  # as the plain convolution
    )


@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bfloat16])
def test_module(device, dtype):
    """0, not the bias, where the mask is 0, also where the input is not a number."""
    module = MaskedConv2d(3, 4, 3, padding=1).to(device, dtype)
    features = maps(1).detach().to(device, dtype)
    features[..., 0] = torch.nan
    mask = torch.zeros(1, 7, 9, device=device)
    assert not module(features, mask).any()
    mask[0, 2, 5] = 1
    output = module(features, mask)
    torch.testing.assert_close(output[..., 2, 5], module(features)[..., 2, 5])
    assert output.count_nonzero() == 4
