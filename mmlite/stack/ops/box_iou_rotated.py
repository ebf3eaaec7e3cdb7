"""Overlaps of rotated boxes."""

import torch

from . import rotated
from .common import widened


@torch.no_grad()
def box_iou_rotated(bboxes1, bboxes2, ious, mode_flag=0, aligned=False):
    """Write the overlaps of ``bboxes1`` (N, 5) and ``bboxes2`` (M, 5) into ``ious``.

    ``ious`` is (N,) if ``aligned``, then N = M, and (N * M,) if not. ``mode_flag`` 0 is the
    intersection over union, 1 over the area of the first box.
    """
    boxes1, boxes2 = widened(bboxes1, bboxes2)
    if aligned:
        ious.copy_(rotated.iou(boxes1, boxes2, mode_flag))
    elif len(boxes2):
        rows = max(1, rotated.PAIRS // len(boxes2))
        for chunk, out in zip(boxes1.split(rows), ious.split(rows * len(boxes2)), strict=True):
            out.view(-1, len(boxes2)).copy_(rotated.iou(chunk[:, None], boxes2, mode_flag))
