"""Multi-scale deformable attention against mmcv's version by grid_sample."""

import pytest
import torch
from mmcv.ops import MultiScaleDeformableAttention, multi_scale_deform_attn
from mmcv.ops.multi_scale_deform_attn import (
    MultiScaleDeformableAttnFunction,
    multi_scale_deformable_attn_pytorch,
)
from parity import check

SHAPES = torch.tensor([[6, 4], [3, 2], [1, 1]])
STARTS = torch.tensor([0, 24, 30])


def attend(value, locations, weights):
    there = value.device
    return MultiScaleDeformableAttnFunction.apply(
        value, SHAPES.to(there), STARTS.to(there), locations, weights, 64
    )


@pytest.mark.parametrize('heads, channels', [(1, 71), (4, 8), (8, 1)])
def test_outputs_and_gradients(device, heads, channels):
    """Also of points far outside."""
    torch.manual_seed(0)
    shapes = [(2, 31, heads, channels), (2, 5, heads, 3, 2, 2), (2, 5, heads, 3, 2)]
    value, locations, weights = (torch.rand(shape, dtype=torch.float64) for shape in shapes)
    tensors = [value - 0.5, locations * 2 - 0.5, weights]
    check(
        attend,
        lambda value, *rest: multi_scale_deformable_attn_pytorch(value, SHAPES, *rest),
        *(t.requires_grad_() for t in tensors),
        device=device,
    )


@pytest.mark.parametrize('batch, queries', [(0, 5), (2, 0)])
def test_no_queries(device, batch, queries):
    value = torch.zeros(batch, 31, 2, 4, device=device, requires_grad=True)
    locations = torch.zeros(batch, queries, 2, 3, 2, 2, device=device, requires_grad=True)
    output = attend(value, locations, locations[..., 0])
    output.sum().backward()
    assert output.shape == (batch, queries, 8) and not value.grad.any()


@pytest.mark.parametrize(
    'y, x, value, grad_y, grad_x',
    [(0.0, 0.0, 1.0, 2.0, 1.0), (-0.5, 0.0, 0.5, 1.0, 0.5), (-1.0, 0.0, 0.0, 0.0, 0.0),
     (0.0, -1.0, 0.0, 0.0, 0.0), (1.5, 0.0, 1.5, -3.0, 0.5), (2.0, 0.0, 0.0, 0.0, 0.0),
     (0.0, float('inf'), 0.0, 0.0, 0.0)],
)  # fmt: skip
def test_gradient_at_the_border(device, y, x, value, grad_y, grad_x):
    """One point of the image ((1, 2), (3, 4)), in pixels; at exactly -1 and its size, all is 0."""
    image = torch.tensor([1.0, 2.0, 3.0, 4.0], device=device).view(1, 4, 1, 1)
    pixel = torch.tensor([x, y], device=device, requires_grad=True)
    sizes, starts = torch.tensor([[2, 2]], device=device), torch.tensor([0], device=device)
    output = MultiScaleDeformableAttnFunction.apply(
        image, sizes, starts, ((pixel + 0.5) / 2).view(1, 1, 1, 1, 1, 2),
        torch.ones(1, 1, 1, 1, 1, device=device), 64,
    )  # fmt: skip
    (grad,) = torch.autograd.grad(output.sum(), pixel)
    assert output.item() == pytest.approx(value)
    assert grad.flip(0).tolist() == pytest.approx([grad_y, grad_x])


def test_layer_of_mmcv_on_a_gpu(device, monkeypatch):
    """The layer takes the operator where ``value.is_cuda``, and the plain version elsewhere."""
    torch.manual_seed(0)
    layer = MultiScaleDeformableAttention(embed_dims=16, num_heads=2, num_levels=3, dropout=0).to(
        device
    )
    query, value = (torch.randn(n, 2, 16, device=device) for n in (7, 31))
    inputs = dict(
        query=query, value=value, reference_points=torch.rand(2, 7, 3, 2, device=device),
        spatial_shapes=SHAPES.to(device), level_start_index=STARTS.to(device),
    )  # fmt: skip
    outputs, grads = [], []
    for on_gpu in (False, True):
        monkeypatch.setattr(multi_scale_deform_attn, 'IS_CUDA_AVAILABLE', True)
        monkeypatch.setattr(torch.Tensor, 'is_cuda', on_gpu)
        outputs.append(layer(**inputs))
        grads.append(torch.autograd.grad(outputs[-1].square().sum(), list(layer.parameters())))
    torch.testing.assert_close(*outputs)
    torch.testing.assert_close(*grads, rtol=1e-4, atol=1e-4)
    assert all(g.any() for g in grads[1])
