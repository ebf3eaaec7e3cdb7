"""Focal loss of a softmax (RetinaNet, Lin et al., ICCV 2017), eq. 5 for several classes."""

import torch

from .common import reduced, widened


def softmax_focal_loss(input, target, gamma=2.0, alpha=0.25, weight=None, reduction='mean'):
    """Focal loss of the class of each row.

    ``input`` (N, C) are logits, ``target`` (N,) int64 classes; the loss of a row with a negative
    one is 0. ``alpha`` weighs all rows, ``weight`` (C,) those of each class. Returns (N,) for
    ``reduction='none'``; 'mean' divides the sum by N.
    """
    assert target.dtype == torch.long and input.dim() == 2 and target.shape == input.shape[:1]
    (logits,) = widened(input)
    label = target.clamp(min=0)
    log_p = logits.log_softmax(dim=1).gather(1, label[:, None]).squeeze(1)
    # at p = 1, a power less than 1 has no gradient
    other = (-torch.expm1(log_p)).clamp(min=torch.finfo(log_p.dtype).tiny)
    loss = torch.where(target >= 0, -alpha * other**gamma * log_p, 0)
    if weight is not None:
        loss = loss * weight[label]
    return reduced(loss, reduction).to(input.dtype)
