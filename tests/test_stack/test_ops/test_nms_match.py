"""Overlaps of boxes, and the groups that NMS makes of them."""

import numpy as np
import pytest
import torch
from mmcv.ops import bbox_overlaps, nms_match
from test_nms import naive_iou, random_boxes


@pytest.mark.parametrize('offset', [0, 1])
@pytest.mark.parametrize('mode', ['iou', 'iof'])
@pytest.mark.parametrize('dtype', [torch.float64, torch.float16])
def test_bbox_overlaps(device, mode, offset, dtype):
    (boxes1, _), (boxes2, _) = random_boxes(30), random_boxes(30, seed=1)
    pairs = bbox_overlaps(boxes1.to(device, dtype), boxes2.to(device, dtype), mode, False, offset)
    rows = bbox_overlaps(boxes1.to(device, dtype), boxes2.to(device, dtype), mode, True, offset)
    naive = dict(iou=naive_iou, iof=naive_iof)[mode]
    expected = [[naive(a, b, offset) for b in boxes2.tolist()] for a in boxes1.tolist()]
    expected = torch.tensor(expected)
    assert 0 < expected.mean() < 1 and pairs.dtype == dtype
    torch.testing.assert_close(pairs.cpu(), expected.to(dtype))
    torch.testing.assert_close(rows.cpu(), expected.diagonal().to(dtype))


def naive_iof(a, b, offset):
    width = min(a[2], b[2]) - max(a[0], b[0]) + offset
    height = min(a[3], b[3]) - max(a[1], b[1]) + offset
    area = (a[2] - a[0] + offset) * (a[3] - a[1] + offset)
    return max(0.0, width) * max(0.0, height) / area if area else 0.0


@pytest.mark.parametrize('rows, columns', [(0, 2), (2, 0), (0, 0)])
def test_no_overlaps(rows, columns):
    assert bbox_overlaps(torch.zeros(rows, 4), torch.zeros(columns, 4)).shape == (rows, columns)


def naive_nms_match(dets, threshold):
    left, groups = sorted(range(len(dets)), key=lambda i: -dets[i][4]), []
    while left:
        best, *left = left
        hit = [i for i in left if naive_iou(dets[best], dets[i], 0) >= threshold]
        groups.append([best, *hit])
        left = [i for i in left if i not in hit]
    return groups


@pytest.mark.parametrize('threshold', [0.1, 0.3, 0.9])
def test_nms_match(device, threshold):
    dets = torch.cat([random_boxes(60)[0], random_boxes(60)[1][:, None]], 1)
    expected = naive_nms_match(dets.tolist(), threshold)
    groups = nms_match(dets.to(device), threshold)
    assert [group.tolist() for group in groups] == expected and 2 < len(expected)
    assert all(group.dtype == torch.long and group.device.type == device for group in groups)
    arrays = nms_match(dets.numpy(), threshold)
    assert all(np.array_equal(a, b) for a, b in zip(arrays, expected, strict=True))


def test_nms_match_at_the_threshold_and_of_nothing():
    """An IoU that equals the threshold suppresses, unlike in nms; a box of no area is a group."""
    dets = torch.tensor([[0.0, 0, 2, 2, 0.9], [0, 0, 2, 1, 0.8], [5, 5, 5, 5, 0.7]])
    assert [group.tolist() for group in nms_match(dets, 0.5)] == [[0, 1], [2]]
    assert nms_match(torch.zeros(0, 5), 0.5) == []
