"""Overlaps of boxes."""

import torch

from .common import widened


def overlaps(boxes1, boxes2, mode='iou', offset=0):
    """IoU of boxes (..., 4) and (..., 4) that broadcast, or of mode 'iof' the part of the first.

    The width of a box (x1, y1, x2, y2) is ``x2 - x1 + offset``. Boxes of no area overlap by 0
    (mmcv's own kernels give NaN).
    """
    boxes1, boxes2 = widened(boxes1, boxes2)
    top_left = torch.maximum(boxes1[..., :2], boxes2[..., :2])
    bottom_right = torch.minimum(boxes1[..., 2:], boxes2[..., 2:])
    inter = (bottom_right - top_left + offset).clamp(min=0).prod(dim=-1)
    area1, area2 = ((b[..., 2:] - b[..., :2] + offset).prod(dim=-1) for b in (boxes1, boxes2))
    base = area1 + area2 - inter if mode == 'iou' else area1
    return (inter / base.clamp(min=offset)).nan_to_num(0)


def bbox_overlaps(bboxes1, bboxes2, ious, mode=0, aligned=False, offset=0):
    """Set ``ious`` (N, M), or (N,) if ``aligned``, to the :func:`overlaps` of (N, 4) and (M, 4).

    ``mode`` is 0 for 'iou' and 1 for 'iof'.
    """
    if not aligned:
        bboxes1 = bboxes1[:, None]
    ious.copy_(overlaps(bboxes1, bboxes2, ('iou', 'iof')[mode], offset))
