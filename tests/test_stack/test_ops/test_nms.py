"""NMS and soft-NMS against plain slow versions of what mmcv's kernels compute."""

import math

import pytest
import torch
from mmcv.ops import nms, soft_nms


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
