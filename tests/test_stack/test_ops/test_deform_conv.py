"""Deformable convolutions against plain slow versions of what mmcv's kernels compute."""

import itertools
import math

import pytest
import torch
from mmcv.ops import (
    DeformConv2d,
    DeformConv2dPack,
    ModulatedDeformConv2dPack,
    SAConv2d,
    deform_conv2d,
    modulated_deform_conv2d,
)
from parity import check, trains
from torch.nn import functional as F


def sample(plane, y, x):
    """``plane`` (C, H, W) at a point, its four neighbours 0 outside; no gradient from -1 on."""
    height, width = plane.shape[1:]
    if not (-1 < y < height and -1 < x < width):
        return plane.new_zeros(len(plane))
    top, left = math.floor(y.item()), math.floor(x.item())
    total = plane.new_zeros(len(plane))
    for row, part in ((top, top + 1 - y), (top + 1, y - top)):
        for column, share in ((left, left + 1 - x), (left + 1, x - left)):
            if 0 <= row < height and 0 <= column < width:
                total = total + part * share * plane[:, row, column]
    return total


def naive(x, offset, mask, weight, bias, stride, padding, dilation, groups, deform_groups):
    """A loop over the output's pixels and the kernel's points; autograd gives its gradients."""
    (out, part, kh, kw), batch = weight.shape, len(x)
    size = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(x.shape[2:], (kh, kw), stride, padding, dilation, strict=True)
    ]
    rows = []
    for b, i, j in (
        (b, i, j) for b in range(batch) for i in range(size[0]) for j in range(size[1])
    ):
        patch = []
        for g, planes in enumerate(x[b].chunk(deform_groups)):
            for u, v in itertools.product(range(kh), range(kw)):
                k = (g * kh + u) * kw + v
                y = i * stride[0] - padding[0] + u * dilation[0] + offset[b, 2 * k, i, j]
                z = j * stride[1] - padding[1] + v * dilation[1] + offset[b, 2 * k + 1, i, j]
                patch.append(sample(planes, y, z) * (1 if mask is None else mask[b, k, i, j]))
        patch = (
            torch.stack(patch)
            .view(deform_groups, kh * kw, -1)
            .transpose(1, 2)
            .reshape(groups, part * kh * kw)
        )
        rows.append(torch.einsum('gk,gok->go', patch, weight.view(groups, out // groups, -1)))
    output = torch.stack(rows).view(batch, *size, out).permute(0, 3, 1, 2)
    return output if bias is None else output + bias[:, None, None]


SETTINGS = [  # kernel, stride, padding, dilation, groups, deform_groups
    ((3, 3), (1, 1), (1, 1), (1, 1), 1, 1),
    ((2, 3), (2, 1), (0, 2), (1, 2), 2, 1),
    ((3, 1), (1, 2), (2, 1), (2, 1), 1, 2),
    ((1, 1), (1, 1), (0, 0), (1, 1), 4, 4),  # of TOOD, where channels are sampled one by one
]


@pytest.mark.parametrize('modulated', [False, True])
@pytest.mark.parametrize('settings', SETTINGS, ids=str)
@pytest.mark.parametrize('whole', [False, True], ids=['', 'whole numbers'])
def test_outputs_and_gradients(device, settings, modulated, whole):
    """Whole offsets put points exactly on pixels and on the border."""
    kernel, *options, groups, deform_groups = settings
    torch.manual_seed(0)
    size = F.conv2d(torch.zeros(1, 1, 5, 4), torch.zeros(1, 1, *kernel), None, *options).shape[2:]
    points = deform_groups * kernel[0] * kernel[1]
    offset = torch.randn(2, 2 * points, *size, dtype=torch.float64) * 2
    if whole:
        offset = offset.round()
    tensors = [torch.randn(2, 4, 5, 4), offset, torch.rand(2, points, *size),
               torch.randn(4, 4 // groups, *kernel), torch.randn(4)]  # fmt: skip
    tensors = [t.double().requires_grad_() for t in tensors]
    options += [groups, deform_groups]
    if modulated:
        operator = lambda *tensors: modulated_deform_conv2d(*tensors, *options)  # noqa: E731
        slow = lambda *tensors: naive(*tensors, *options)  # noqa: E731
    else:
        del tensors[2], tensors[-1]
        operator = lambda *tensors: deform_conv2d(*tensors, *options)  # noqa: E731
        slow = lambda x, offset, weight: naive(x, offset, None, weight, None, *options)  # noqa: E731
    check(operator, slow, *tensors, device=device, differentiable=not whole)


@pytest.mark.parametrize(
    'y, x, value, grad_y, grad_x',
    [(0.0, 0.0, 1.0, 2.0, 1.0), (-0.5, 0.0, 0.5, 1.0, 0.5), (-1.0, 0.0, 0.0, 0.0, 0.0),
     (0.0, -1.0, 0.0, 0.0, 0.0), (-1.0, -1.0, 0.0, 0.0, 0.0), (-1.5, 0.0, 0.0, 0.0, 0.0),
     (1.5, 0.0, 1.5, -3.0, 0.5), (2.0, 0.0, 0.0, 0.0, 0.0), (0.0, 2.0, 0.0, 0.0, 0.0)],
)  # fmt: skip
def test_gradient_of_the_offset_at_the_border(device, y, x, value, grad_y, grad_x):
    """One point of the image ((1, 2), (3, 4)); at exactly -1 and at its size, all is 0."""
    image = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]], device=device)
    offset = torch.zeros(1, 2, 2, 2, device=device)
    offset[0, :, 0, 0] = torch.tensor([y, x])
    offset.requires_grad_()
    one = torch.ones(1, 1, 1, 1, device=device)
    for output in (
        deform_conv2d(image, offset, one),
        modulated_deform_conv2d(image, offset, one.expand(1, 1, 2, 2), one),
    ):
        (grad,) = torch.autograd.grad(output[0, 0, 0, 0], offset)
        assert output[0, 0, 0, 0].item() == pytest.approx(value)
        assert grad[0, :, 0, 0].tolist() == pytest.approx([grad_y, grad_x])


def test_offsets_larger_than_the_output_are_read_as_memory(device):
    """As in DyHead, which gives those of a level to the one below."""
    torch.manual_seed(0)
    x, weight = torch.randn(2, 3, 4, 5, device=device), torch.randn(2, 3, 3, 3, device=device)
    offset = torch.randn(2, 18, 8, 10, device=device, requires_grad=True)
    mask = torch.rand(2, 9, 8, 10, device=device)
    output = modulated_deform_conv2d(x, offset, mask, weight, None, 1, 1)
    as_read = [
        torch.stack([image.flatten()[: count * 20].view(count, 4, 5) for image in tensor])
        for tensor, count in ((offset, 18), (mask, 9))
    ]
    torch.testing.assert_close(
        output, modulated_deform_conv2d(x, *as_read, weight, None, 1, 1), rtol=0, atol=0
    )
    (grad,) = torch.autograd.grad(output.sum(), offset)
    assert grad[0, :4].any() and not grad.flatten(1)[:, 360:].any()


@pytest.mark.parametrize('layer', [DeformConv2dPack, ModulatedDeformConv2dPack])
def test_layers_start_as_a_convolution_and_train(device, layer):
    torch.manual_seed(0)
    layer = layer(3, 4, 3, stride=2, padding=1).to(device)
    x = torch.randn(2, 3, 7, 6, device=device)
    share = 0.5 if isinstance(layer, ModulatedDeformConv2dPack) else 1.0
    output = trains(layer, x)
    torch.testing.assert_close(output, share * F.conv2d(x, layer.weight, None, 2, 1))
    assert layer.conv_offset.weight.grad.any()


def test_switchable_atrous_convolution(device):
    """Without offsets and with the weights that it starts from, one convolution."""
    torch.manual_seed(0)
    layer = SAConv2d(3, 4, 3, padding=1, bias=False, use_deform=True).to(device)
    x = torch.randn(2, 3, 9, 8, device=device)
    output = trains(layer, x)
    expected = F.conv2d(x, layer._get_weight(layer.weight), None, 1, 1)
    torch.testing.assert_close(output, expected + layer.post_context.bias[:, None, None])
    assert layer.offset_s.weight.grad.any()


@pytest.mark.parametrize('value', [torch.nan, torch.inf, -torch.inf, 1e30])
def test_points_that_are_nowhere_are_zero(device, value):
    """As of a network that diverged: no crash, and no memory of others."""
    x, weight = torch.randn(1, 2, 6, 6, device=device), torch.randn(3, 2, 3, 3, device=device)
    offset = torch.zeros(1, 18, 6, 6, device=device)
    offset[:, 0::2, :, 3:] = value
    offset.requires_grad_()
    out = deform_conv2d(x, offset, weight, 1, 1)
    plain = F.conv2d(x, weight, padding=1)
    torch.testing.assert_close(out[..., :3], plain[..., :3], rtol=1e-4, atol=1e-4)
    assert not out[..., 3:].any()
    (grad,) = torch.autograd.grad(out.sum(), offset)
    assert not grad[..., 3:].any() and grad.isfinite().all()


def test_input_smaller_than_the_kernel(device):
    """mmcv's layer pads it, and the offset with it, and crops the output."""
    layer = DeformConv2d(2, 3, 3, padding=1).to(device)
    x, offset = torch.randn(1, 2, 2, 5, device=device), torch.zeros(1, 18, 2, 5, device=device)
    torch.testing.assert_close(layer(x, offset), F.conv2d(x, layer.weight, None, 1, 1))


def test_no_images(device):
    x, offset = torch.zeros(0, 2, 4, 5, device=device), torch.zeros(0, 18, 4, 5, device=device)
    layer = DeformConv2d(2, 3, 3, padding=1).to(device)
    output = layer(x.requires_grad_(), offset.requires_grad_())
    output.sum().backward()
    assert output.shape == (0, 3, 4, 5) and not layer.weight.grad.any()


@pytest.mark.parametrize(
    'batch, size, options, error, message',
    [
        (3, (4, 4), dict(im2col_step=2), AssertionError, 'divisible by im2col_step'),
        (1, (4, 4), dict(bias=True), AssertionError, 'bias is False'),
        (1, (2, 4), {}, ValueError, r'too small \(output would be 0x2\)'),
        (1, (5, 4), {}, RuntimeError, 'offset'),
        (1, (4,), {}, ValueError, '4D tensor as input, got 3D'),
    ],
)
def test_refusals(batch, size, options, error, message):
    x, offset = torch.zeros(batch, 1, *size), torch.zeros(batch, 18, 2, 2)
    with pytest.raises(error, match=message):
        deform_conv2d(x, offset, torch.zeros(1, 1, 3, 3), **options)
