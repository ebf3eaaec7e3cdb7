"""What holds for every differentiable operator: gradients, types, autocast, an empty batch."""

import pytest
import torch
from mmcv.ops import (
    deform_conv2d,
    modulated_deform_conv2d,
    roi_align,
    sigmoid_focal_loss,
    softmax_focal_loss,
)
from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction
from mmcv.ops.sync_bn import SyncBatchNormFunction


def classes(count, device):
    """Targets 0, 1, 2, 3 in turn; with three classes, 3 is background."""
    return torch.arange(count, device=device) % 4


def attend(value, locations, weights):
    shapes = torch.tensor([[3, 4], [2, 1]], device=value.device)
    starts = torch.tensor([0, 12], device=value.device)
    return MultiScaleDeformableAttnFunction.apply(value, shapes, starts, locations, weights, 64)


def pool(x):
    rois = torch.tensor([[0, 0.2, 1.3, 4.1, 5.7]], device=x.device)
    return roi_align(x, rois[: len(x)], 2)


CASES = {
    'deform_conv2d': (
        lambda x, offset, weight: deform_conv2d(x, offset, weight, 2, 1, 1, 2, 2),
        [('B', 4, 5, 6), ('B', 36, 3, 3), (6, 2, 3, 3)],
    ),
    'modulated_deform_conv2d': (
        lambda x, offset, mask, weight, bias: modulated_deform_conv2d(
            x, offset, mask, weight, bias, 1, (1, 0), (1, 2)
        ),
        [('B', 2, 4, 5), ('B', 12, 5, 3), ('B', 6, 5, 3), (3, 2, 2, 3), (3,)],
    ),
    'ms_deform_attn': (attend, [('B', 14, 2, 3), ('B', 5, 2, 2, 2, 2), ('B', 5, 2, 2, 2)]),
    'roi_align': (pool, [('B', 3, 6, 7)]),
    'sigmoid_focal_loss': (
        lambda x: sigmoid_focal_loss(x, classes(len(x), x.device), 1.5, 0.3, None, 'none'),
        [('B', 3)],
    ),
    'softmax_focal_loss': (
        lambda x: softmax_focal_loss(x, classes(len(x), x.device), 1.5, 0.3, None, 'none'),
        [('B', 4)],
    ),
    'sync_batch_norm': (
        lambda x, weight, bias: SyncBatchNormFunction.apply(
            x, None, None, weight, bias, 0.1, 1e-5, None, 1, 'N'
        ),
        [('B', 3, 2, 2), (3,), (3,)],
    ),
}  # fmt: skip


@pytest.fixture(params=CASES)
def case(request):
    """The operator, and its differentiable tensors for a batch size and a type."""
    operator, shapes = CASES[request.param]

    def tensors(batch, dtype, device):
        generator = torch.Generator().manual_seed(0)
        sizes = [[batch if n == 'B' else n for n in shape] for shape in shapes]
        made = [torch.randn(size, generator=generator, dtype=torch.float64) for size in sizes]
        return [t.to(device, dtype).requires_grad_() for t in made]

    return operator, tensors


def test_gradient(case, device):
    operator, tensors = case
    assert torch.autograd.gradcheck(operator, tensors(2, torch.float64, device), nondet_tol=1e-9)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(case, device, dtype):
    operator, tensors = case
    half = tensors(2, dtype, device)
    wide = [t.detach().float().requires_grad_() for t in half]
    output, exact = operator(*half), operator(*wide)
    assert output.dtype == dtype
    torch.testing.assert_close(output, exact.to(dtype), rtol=0, atol=0)
    grads, exact_grads = (
        torch.autograd.grad(o.float().sum(), t) for o, t in ((output, half), (exact, wide))
    )
    for grad, exact_grad in zip(grads, exact_grads, strict=True):
        torch.testing.assert_close(grad, exact_grad.to(dtype), rtol=0.02, atol=0.02)


def test_autocast(case, device):
    """The types of mmcv.cnn's layers are mixed under autocast."""
    operator, tensors = case
    first, *rest = tensors(2, torch.float32, device)
    with torch.autocast(device, torch.bfloat16):
        output = operator(first.bfloat16(), *rest)
    exact = operator(first.bfloat16().float(), *rest)
    torch.testing.assert_close(output.float(), exact, rtol=1e-2, atol=1e-2)
    output.float().sum().backward()
    assert all(t.grad.isfinite().all() and t.grad.dtype == t.dtype for t in (first, *rest))


def test_empty_batch(case, device):
    operator, tensors = case
    given = tensors(0, torch.float32, device)
    output = operator(*given)
    assert len(output) == 0 and output.dim() == operator(*tensors(2, torch.float32, device)).dim()
    for tensor, grad in zip(given, torch.autograd.grad(output.sum(), given), strict=True):
        assert grad.shape == tensor.shape and not grad.any()
