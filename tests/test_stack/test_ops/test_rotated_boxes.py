"""Overlap and NMS of rotated boxes against a polygon that is clipped edge by edge."""

import math
import time

import pytest
import torch
from mmcv.ops import batched_nms, box_iou_rotated, nms_rotated

from mmlite.stack.ops import rotated


def corners(box):
    x, y, w, h, angle = box
    cos, sin = math.cos(angle), math.sin(angle)
    signs = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    return [(x + (a * w * cos - b * h * sin) / 2, y + (a * w * sin + b * h * cos) / 2)
            for a, b in signs]  # fmt: skip


def side(point, start, end):
    return (end[0] - start[0]) * (point[1] - start[1]) - (end[1] - start[1]) * (point[0] - start[0])


def area(polygon):
    pairs = zip(polygon, polygon[1:] + polygon[:1], strict=True)
    return sum(a[0] * b[1] - b[0] * a[1] for a, b in pairs) / 2


def naive_overlap(box1, box2, mode='iou'):
    polygon, clip = corners(box1), corners(box2)
    area1, area2 = box1[2] * box1[3], box2[2] * box2[3]
    if area1 < 1e-14 or area2 < 1e-14:
        return 0.0
    for start, end in zip(clip, clip[1:] + clip[:1], strict=True):
        clipped = []
        for a, b in zip(polygon, polygon[1:] + polygon[:1], strict=True):
            da, db = side(a, start, end), side(b, start, end)
            if da >= 0:
                clipped.append(a)
            if da * db < 0:
                t = da / (da - db)
                clipped.append((a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])))
        polygon = clipped
    common = area(polygon) if polygon else 0.0
    return common / (area1 if mode == 'iof' else area1 + area2 - common)


def naive_nms(boxes, scores, threshold):
    kept, boxes = [], boxes.tolist()
    for i in scores.argsort(descending=True).tolist():
        if all(naive_overlap(boxes[i], boxes[j]) <= threshold for j in kept):
            kept.append(i)
    return kept


def random_boxes(count, spread=40, dtype=torch.float64):
    generator = torch.Generator().manual_seed(count)
    boxes = torch.rand(count, 5, generator=generator, dtype=dtype) * 2 - 1
    boxes = boxes * torch.tensor([spread, spread, 9, 6, 4]) + torch.tensor([0, 0, 12, 8, 0])
    return boxes.to(dtype), torch.randperm(count, generator=generator) / count + 0.01


HARD = torch.tensor(
    [
        [10, 10, 8, 4, 0.3],
        [10, 10, 8, 4, 0.3 + math.pi],  # the same rectangle
        [10, 10, 4, 8, 0.3 + math.pi / 2],  # again, by its other side
        [10, 10, 8, 4, 0.3 + 1e-7],  # nearly
        [14, 10, 8, 4, 0.0],
        [22, 10, 8, 4, 0.0],  # touches it
        [14, 12, 8, 4, 0.0],  # shares half
        [10, 10, 100, 0.01, 1.0],  # a hair
        [10, 10, 2, 1, 2.0],  # inside of the first
        [10, 10, 0, 4, 0.3],  # no area
        [1000.0, 1000.0, 3.0, 3.0, 0.0],
    ],
    dtype=torch.float64,
)


@pytest.mark.parametrize('mode', ['iou', 'iof'])
@pytest.mark.parametrize('clockwise', [True, False])
@pytest.mark.parametrize(
    ('dtype', 'tolerance'), [(torch.float64, 1e-9), (torch.float32, 2e-5), (torch.float16, 1e-3)]
)
@pytest.mark.parametrize('pairs', [7, rotated.PAIRS])
def test_box_iou_rotated(device, monkeypatch, mode, clockwise, dtype, tolerance, pairs):
    """All pairs, in a chunk and in many, and pair by pair; the angles of the half type are wide."""
    monkeypatch.setattr(rotated, 'PAIRS', pairs)
    boxes = torch.cat([HARD, random_boxes(20, 15)[0]]).to(dtype).double()
    turn = torch.tensor([1, 1, 1, 1, 1 if clockwise else -1])
    wanted = [[naive_overlap(a, b, mode) for b in boxes.tolist()] for a in boxes.tolist()]
    wanted = torch.tensor(wanted, dtype=torch.float64)
    assert (wanted > 0.01).sum() > 200
    there = (boxes * turn).to(device, dtype)
    overlaps = box_iou_rotated(there, there, mode, clockwise=clockwise)
    assert overlaps.dtype == dtype
    torch.testing.assert_close(overlaps.cpu().double(), wanted, rtol=tolerance, atol=tolerance)
    pairwise = box_iou_rotated(there, there.flip(0), mode, aligned=True, clockwise=clockwise)
    wanted = wanted.flip(1).diagonal()
    torch.testing.assert_close(pairwise.cpu().double(), wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize('rows, columns', [(0, 3), (3, 0), (0, 0)])
def test_overlap_of_no_boxes(device, rows, columns):
    boxes = HARD.to(device)
    assert box_iou_rotated(boxes[:rows], boxes[:columns]).shape == (rows, columns)
    assert box_iou_rotated(boxes[:0], boxes[:0], aligned=True).shape == (0,)


@pytest.mark.parametrize('threshold', [0.0, 0.1, 0.5])
@pytest.mark.parametrize('clockwise', [True, False])
@pytest.mark.parametrize('labels', [False, True])
@pytest.mark.parametrize('pairs', [500, rotated.PAIRS])
def test_nms_rotated(device, monkeypatch, threshold, clockwise, labels, pairs):
    """Labels change nothing: in mmcv boxes of different classes suppress each other, too."""
    monkeypatch.setattr(rotated, 'PAIRS', pairs)
    boxes, scores = random_boxes(120, 15)
    expected = naive_nms(boxes, scores, threshold)
    assert 5 < len(expected) < 110
    turn = torch.tensor([1, 1, 1, 1, 1 if clockwise else -1])
    there = (boxes * turn).to(device)
    classes = (torch.arange(120) % 3).to(there) if labels else None
    dets, kept = nms_rotated(there, scores.to(device), threshold, classes, clockwise)
    assert kept.tolist() == expected and kept.dtype == torch.int64
    wanted = torch.cat([there, scores[:, None].to(there)], 1)[kept]
    torch.testing.assert_close(dets, wanted)


def test_nms_of_a_long_chain(device):
    """Each box overlaps with its neighbors alone, so that each decides about the next."""
    boxes = torch.zeros(301, 5, device=device)
    boxes[:, 0] = torch.arange(301)
    boxes[:, 2:4] = torch.tensor([1.5, 1.0])
    scores = torch.linspace(1, 0.1, 301, device=device)
    assert nms_rotated(boxes, scores, 0.1)[1].tolist() == list(range(0, 301, 2))


def test_batched_nms_by_class(device):
    boxes, scores = random_boxes(60)
    classes = torch.arange(60) % 2
    config = dict(type='nms_rotated', iou_threshold=0.1)
    inputs = (t.to(device) for t in (boxes, scores, classes))
    _, kept = batched_nms(*inputs, config)
    expected = [i for c in range(2) for i in torch.arange(60)[classes == c][
        naive_nms(boxes[classes == c], scores[classes == c], 0.1)].tolist()]  # fmt: skip
    assert sorted(kept.tolist()) == sorted(expected)


def test_two_thousand_boxes_take_a_second(device):
    boxes, scores = random_boxes(2000, 100, torch.float32)
    start = time.perf_counter()
    _, kept = nms_rotated(boxes.to(device), scores.to(device), 0.3)
    assert time.perf_counter() - start < 5  # 0.1 s where nothing else runs
    assert 100 < len(kept) < 1900
