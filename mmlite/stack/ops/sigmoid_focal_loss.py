"""Focal loss of sigmoids (RetinaNet, Lin et al., ICCV 2017), eq. 5."""

import torch
import torch.nn.functional as F

from .common import reduced, widened


def sigmoid_focal_loss(input, target, gamma=2.0, alpha=0.25, weight=None, reduction='mean'):
    """Focal loss of each class against all others.

    ``input`` (N, C) are logits, ``target`` (N,) int64 classes; any number that is no class, such as
    C, is background. ``alpha`` weighs a row's own class, ``1 - alpha`` the others; ``weight`` (C,)
    multiplies the rows of each class, 1 those of the background. Returns (N, C) for
    ``reduction='none'``; 'mean' divides the sum by N.
    """
    assert target.dtype == torch.long and input.dim() == 2 and target.shape == input.shape[:1]
    classes = input.shape[1]
    own = target[:, None] == torch.arange(classes, device=input.device)
    (logits,) = widened(input)
    logits = torch.where(own, logits, -logits)
    # (1 - p) ** gamma by its logarithm, whose gradient is finite at p = 1 for any gamma
    loss = -torch.exp(gamma * F.logsigmoid(-logits)) * F.logsigmoid(logits)
    loss = torch.where(own, alpha * loss, (1 - alpha) * loss)
    if weight is not None:
        row = torch.where(own.any(dim=1), target, classes)
        loss = loss * F.pad(weight, (0, 1), value=1.0)[row, None]
    return reduced(loss, reduction).to(input.dtype)
