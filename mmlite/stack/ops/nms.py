"""Non-maximum suppression on torchvision's kernel."""

import torchvision

from .common import widened


def nms(boxes, scores, iou_threshold, offset):
    """Greedy non-maximum suppression: int64 indices of the kept boxes (N, 4), by falling score.

    The width of a box (x1, y1, x2, y2 in pixels) is ``x2 - x1 + offset``; 1 is the convention of
    pixel indices. A box is dropped if its IoU with a kept one is greater than the threshold.
    """
    boxes, scores = widened(boxes, scores)
    if offset:
        boxes = boxes + boxes.new_tensor([0, 0, offset, offset])
    return torchvision.ops.nms(boxes, scores, iou_threshold)
