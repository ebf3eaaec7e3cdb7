"""Non-maximum suppression of rotated boxes."""

import torch

from . import rotated
from .common import widened


@torch.no_grad()
def nms_rotated(dets, scores, order, dets_sorted, labels, iou_threshold, multi_label):
    """Greedy non-maximum suppression of rotated boxes: int64 indices of the kept by falling score.

    ``dets_sorted`` (N, 5 or 6) are center x and y, width, height and angle in radians, by falling
    score, and ``order`` (N,) their indices. A box is dropped if its IoU with a kept one is greater
    than the threshold. As in mmcv's kernels, ``labels`` do not matter: boxes of any two classes
    suppress each other.

    The kept boxes are a fixed point, found in as many steps as the longest chain of boxes of which
    each decides about the next (Cluster-NMS, Zheng et al., 2020): a handful.
    """
    (boxes,) = widened(dets_sorted[:, :5])
    first, second = _overlapping(boxes, iou_threshold)
    kept, before = torch.ones_like(order, dtype=torch.bool), None
    while before is None or not torch.equal(kept, before):
        before = kept
        kept = torch.zeros_like(order).index_add(0, second, kept[first].long()) == 0
    return order[kept]


def _overlapping(boxes, iou_threshold):
    """Pairs (i, j), i < j, of boxes whose IoU is greater than the threshold."""
    centers, radii = boxes[:, :2], boxes[:, 2:4].norm(dim=1) / 2
    exact, step, pairs = (
        'donot_use_mm_for_euclid_dist',
        max(1, rotated.PAIRS // max(1, len(boxes))),
        [],
    )
    for start in range(0, max(1, len(boxes)), step):
        rows = slice(start, start + step)
        distances = torch.cdist(centers[rows], centers[start:], compute_mode=exact)
        near = (distances <= radii[rows, None] + radii[start:]).triu(1)
        i, j = (indices + start for indices in near.nonzero(as_tuple=True))
        over = rotated.iou(boxes[i], boxes[j]) > iou_threshold
        pairs.append((i[over], j[over]))
    return [torch.cat(indices) for indices in zip(*pairs, strict=True)]
