"""Checks of an operator against a plain slow version, and what RoI operators have in common."""

import math

import torch
from torch.autograd import gradcheck


def check(operator, slow, *inputs, device='cpu', differentiable=True, half=True, syncs=False):
    """Compare outputs and gradients, and ask for half precision and autocast.

    ``inputs`` are float64 of the CPU; the gradients of those that require them are compared.
    Half precision has to give what float32 gives, rounded, and autocast to change nothing. Unless
    the operator ``syncs``, it has to run on the meta device, whose tensors have no values to read
    and do not mix with those of the CPU.
    """
    there = [t.detach().to(device).requires_grad_(t.requires_grad) for t in inputs]
    output, expected = operator(*there), slow(*inputs)
    assert output.dtype == torch.float64 and output.shape == expected.shape
    torch.testing.assert_close(output.cpu(), expected, rtol=1e-6, atol=1e-9)
    weight = torch.randn(expected.shape, dtype=torch.float64)
    grads = gradients((output * weight.to(device)).sum(), there)
    for grad, wanted in zip(grads, gradients((expected * weight).sum(), inputs), strict=True):
        torch.testing.assert_close(grad.cpu(), wanted, rtol=1e-5, atol=1e-7)
    assert not differentiable or gradcheck(operator, there, nondet_tol=1e-9, fast_mode=True)

    if not syncs:
        gone = [t.detach().to('meta').requires_grad_(t.requires_grad) for t in inputs]
        gradients(operator(*gone).sum(), gone)

    for dtype in (torch.float16, torch.bfloat16, torch.float32) if half else ():
        half = [t.detach().to(dtype if t.requires_grad else torch.float32) for t in there]
        wide = [t.float() for t in half]
        exact = operator(*wide)
        for tensor, like in zip(half, there, strict=True):
            tensor.requires_grad_(like.requires_grad)
        with torch.autocast(device, torch.bfloat16, enabled=dtype == torch.float32):
            output = operator(*half)
        assert output.dtype == dtype
        torch.testing.assert_close(output, exact.to(dtype), rtol=0, atol=0)
        for grad in gradients(output.float().square().sum(), half):
            assert grad.dtype == dtype and grad.isfinite().all() and grad.any()


def gradients(loss, inputs):
    return torch.autograd.grad(loss, [t for t in inputs if t.requires_grad])


def trains(module, *inputs):
    """Take a step; every parameter of the module has to change the loss."""
    output = module(*inputs)
    output.square().sum().backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
    return output


def bilinear(plane, y, x):
    """``plane (C, H, W)`` at a point; 0 where it is more than a pixel outside."""
    height, width = plane.shape[1:]
    if not (-1 <= y <= height and -1 <= x <= width):
        return plane.new_zeros(len(plane))
    y, x = min(max(y, 0.0), height - 1.0), min(max(x, 0.0), width - 1.0)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    dy, dx = y - top, x - left
    upper = (1 - dx) * plane[:, top, left] + dx * plane[:, top, right]
    lower = (1 - dx) * plane[:, bottom, left] + dx * plane[:, bottom, right]
    return (1 - dy) * upper + dy * lower


def mean(samples):
    return sum(samples) / len(samples) if samples else 0


def pool_samples(images, boxes, size, sampling_ratio, reduce=mean):
    """Pooling by loops over boxes, bins and samples; autograd gives its gradient.

    A box is its index into ``images``, height, width and a function that gives where a sample is in
    the map: of (y, x) from the top left of the box and of the bin (row, column).
    """
    outputs = []
    for index, height, width, place in boxes:
        bin_h, bin_w = height / size[0], width / size[1]
        ny, nx = (sampling_ratio or math.ceil(step) for step in (bin_h, bin_w))
        for row in range(size[0]):
            for column in range(size[1]):
                samples = [
                    bilinear(
                        images[int(index)],
                        *place(
                            bin_h * (row + (i + 0.5) / ny),
                            bin_w * (column + (j + 0.5) / nx),
                            row,
                            column,
                        ),
                    )
                    for i in range(ny)
                    for j in range(nx)
                ]
                outputs.append(images.new_zeros(images.shape[1]) + reduce(samples))
    return torch.stack(outputs).view(len(boxes), *size, -1).permute(0, 3, 1, 2)


def maps(batch=2, channels=3, height=7, width=9):
    """Random float64 maps that require a gradient, the same each time."""
    torch.manual_seed(0)
    return torch.randn(batch, channels, height, width, dtype=torch.float64, requires_grad=True)


ROIS = torch.tensor(
    [
        [0, 2.3, 1.1, 20.7, 25.9],
        [1, 0.0, 0.0, 35.9, 27.9],
        [1, -6.0, 3.0, 9.0, 50.0],  # outside in part
        [0, 5.0, 5.0, 6.0, 6.0],  # less than a feature pixel
        [0, 7.0, 7.0, 7.0, 7.0],  # no area
    ],
    dtype=torch.float64,
)
