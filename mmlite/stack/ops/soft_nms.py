"""Soft-NMS (Bodla et al., ICCV 2017)."""

import torch

from .bbox_overlaps import overlaps

NAIVE, LINEAR, GAUSSIAN = range(3)  # the codes of mmcv.ops.soft_nms


def softnms(boxes, scores, dets, iou_threshold, sigma, min_score, method, offset):
    """Soft-NMS (Bodla et al., ICCV 2017): overlap lowers a score instead of dropping the box.

    The first of equal scores is taken first, and the first box is always kept. Two boxes of no area
    overlap by 0 (mmcv's own kernel gives them a score of NaN).

    Arguments are those of :func:`nms`; ``iou_threshold`` is the IoU from which the methods 0 naive
    (weight 0) and 1 linear (1 - IoU) lower a score, ``sigma`` the width of 2 gaussian (exp(-IoU^2 /
    sigma)); the lowest score kept is ``min_score``. The first K rows of ``dets`` (N, 5) are set to
    the kept boxes and lowered scores. Returns their int64 indices (K,) in the order in which they
    were taken.
    """
    scores = scores.clone()
    left = torch.arange(len(boxes), device=boxes.device)
    kept = []
    while len(left):
        taken = left[scores[left].argmax()]
        dets[len(kept), :4] = boxes[taken]
        dets[len(kept), 4] = scores[taken]
        kept.append(taken)
        left = left[left != taken]

        iou = overlaps(boxes[left], boxes[taken], offset=offset)
        if method == GAUSSIAN:
            scores[left] *= torch.exp(-(iou**2) / sigma)
        else:
            lowered = 1 - iou if method == LINEAR else torch.zeros_like(iou)
            scores[left] *= torch.where(iou >= iou_threshold, lowered, 1.0)
        left = left[scores[left] >= min_score]
    return torch.stack(kept) if kept else left
