"""Operators of ``mmcv.ops`` against plain slow versions of what mmcv's kernels compute."""

import math

import pytest
import torch
from mmcv.ops import RoIAlign, nms, roi_align, soft_nms


def random_boxes(count, seed=0, size=40):
    """Overlapping boxes with integer corners and distinct scores."""
    generator = torch.Generator().manual_seed(seed)
    corners = torch.randint(0, size, (count, 2, 2), generator=generator).sort(dim=1).values
    return corners.flatten(1).float(), torch.randperm(count, generator=generator) / count + 0.01


def naive_iou(a, b, offset):
    width = min(a[2], b[2]) - max(a[0], b[0]) + offset
    height = min(a[3], b[3]) - max(a[1], b[1]) + offset
    inter = max(0.0, width) * max(0.0, height)
    areas = [(box[2] - box[0] + offset) * (box[3] - box[1] + offset) for box in (a, b)]
    return inter / (sum(areas) - inter) if sum(areas) > inter else 0.0


def naive_nms(boxes, scores, iou_threshold, offset):
    boxes, scores = boxes.tolist(), scores.tolist()
    kept = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        if all(naive_iou(boxes[i], boxes[j], offset) <= iou_threshold for j in kept):
            kept.append(i)
    return kept


def naive_soft_nms(boxes, scores, iou_threshold, sigma, min_score, method, offset):
    boxes, left = boxes.tolist(), dict(enumerate(scores.tolist()))
    kept = []
    while left:
        taken = max(left, key=left.get)
        kept.append((taken, left.pop(taken)))
        for i in list(left):
            iou = naive_iou(boxes[i], boxes[taken], offset)
            if method == 'gaussian':
                left[i] *= math.exp(-(iou**2) / sigma)
            elif iou >= iou_threshold:
                left[i] *= 1 - iou if method == 'linear' else 0
            if left[i] < min_score:
                del left[i]
    return [i for i, _ in kept], [score for _, score in kept]


@pytest.mark.parametrize(
    ('iou_threshold', 'offset', 'dtype'),
    [(0.1, 0, torch.float32), (0.3, 1, torch.float16), (0.5, 0, torch.bfloat16),
     (0.5, 1, torch.float64)],
)  # fmt: skip
def test_nms(device, iou_threshold, offset, dtype):
    boxes, scores = random_boxes(60)
    expected = naive_nms(boxes, scores, iou_threshold, offset)
    assert 5 < len(expected) < 60
    dets, inds = nms(boxes.to(device, dtype), scores.to(device), iou_threshold, offset)
    assert inds.tolist() == expected and inds.device.type == device
    wanted = torch.cat([boxes, scores[:, None]], 1)[expected]
    torch.testing.assert_close(dets.cpu(), wanted, check_dtype=False)


@pytest.mark.parametrize('offset', [0, 1])
@pytest.mark.parametrize('method', ['naive', 'linear', 'gaussian'])
@pytest.mark.parametrize('min_score', [1e-3, 0.3])
def test_soft_nms(device, method, offset, min_score):
    boxes, scores = random_boxes(60, seed=1)
    inds, lowered = naive_soft_nms(boxes, scores, 0.3, 0.5, min_score, method, offset)
    assert 5 < len(inds) <= 60 and (method == 'naive' or lowered != scores[inds].tolist())
    before = scores.clone()
    dets, kept = soft_nms(
        boxes.to(device), scores.to(device), 0.3, 0.5, min_score, method=method, offset=offset
    )
    assert kept.tolist() == inds and kept.device.type == device
    torch.testing.assert_close(dets[:, :4].cpu(), boxes[inds])
    torch.testing.assert_close(dets[:, 4].cpu(), torch.tensor(lowered))
    assert torch.equal(scores, before)


def test_soft_nms_keeps_the_first_box_and_drops_the_rest_below_min_score():
    boxes = torch.tensor([[0.0, 0, 1, 1], [5, 5, 6, 6]])
    dets, inds = soft_nms(boxes, torch.tensor([0.2, 0.1]), min_score=0.5)
    assert inds.tolist() == [0] and dets[0, 4] == pytest.approx(0.2)


@pytest.mark.parametrize('suppress', [nms, soft_nms])
def test_no_boxes(device, suppress):
    dets, inds = suppress(torch.zeros(0, 4, device=device), torch.zeros(0, device=device), 0.5)
    assert dets.shape == (0, 5) and inds.shape == (0,) and inds.dtype == torch.int64


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


def naive_roi_align(images, rois, size, scale, sampling_ratio, aligned):
    """RoIAlign by loops over boxes, bins and samples; autograd gives its gradient."""
    outputs = []
    for index, *corners in rois.tolist():
        x1, y1, x2, y2 = (value * scale - 0.5 * aligned for value in corners)
        width, height = x2 - x1, y2 - y1
        if not aligned:
            width, height = max(width, 1.0), max(height, 1.0)
        bin_h, bin_w = height / size[0], width / size[1]
        ny = sampling_ratio or math.ceil(bin_h)
        nx = sampling_ratio or math.ceil(bin_w)
        for row in range(size[0]):
            for column in range(size[1]):
                samples = [
                    bilinear(
                        images[int(index)],
                        y1 + bin_h * (row + (i + 0.5) / ny),
                        x1 + bin_w * (column + (j + 0.5) / nx),
                    )
                    for i in range(ny)
                    for j in range(nx)
                ]
                outputs.append(sum(samples, images.new_zeros(images.shape[1])) / max(ny * nx, 1))
    return torch.stack(outputs).view(len(rois), *size, -1).permute(0, 3, 1, 2)


ROIS = torch.tensor(
    [
        [0, 2.3, 1.1, 20.7, 25.9],
        [1, 0.0, 0.0, 35.9, 27.9],
        [1, -6.0, 3.0, 9.0, 50.0],  # outside in part
        [0, 5.0, 5.0, 6.0, 6.0],  # less than a feature pixel
        [0, 7.0, 7.0, 7.0, 7.0],  # no area
    ]
)


@pytest.mark.parametrize('aligned', [True, False])
@pytest.mark.parametrize('sampling_ratio', [0, 2])
@pytest.mark.parametrize('scale', [0.25, 1.0])
def test_roi_align_and_its_gradient(device, aligned, sampling_ratio, scale):
    torch.manual_seed(0)
    images = torch.randn(2, 3, 7, 9, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(len(ROIS), 3, 2, 3, dtype=torch.float64)
    settings = ((2, 3), scale, sampling_ratio)
    expected = naive_roi_align(images, ROIS.double(), *settings, aligned)
    (expected_grad,) = torch.autograd.grad((expected * weight).sum(), images)

    there = images.detach().to(device).requires_grad_()
    output = RoIAlign(*settings, aligned=aligned)(there, ROIS.double().to(device))
    (grad,) = torch.autograd.grad((output * weight.to(device)).sum(), there)
    torch.testing.assert_close(output.cpu(), expected, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(grad.cpu(), expected_grad, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_roi_align_computes_half_precision_in_float32(device, dtype):
    torch.manual_seed(0)
    images = torch.randn(2, 3, 7, 9).to(device, dtype).requires_grad_()
    rois = ROIS.to(device)
    output = roi_align(images, rois, (2, 3), 0.25, 2)
    exact = roi_align(images.detach().float(), rois, (2, 3), 0.25, 2)
    assert output.dtype == dtype and torch.equal(output, exact.to(dtype))
    output.sum().backward()
    assert images.grad.dtype == dtype and images.grad.abs().sum() > 0
