"""Hann window over the scores of a tracker."""

import torch


def hann_window(side):
    """Two-dimensional Hann window (side, side) without its zeros.

    float32, the outer product of ``(1 - cos(2 pi k / (side + 1))) / 2``, k from 1 to side
    (OSTrack).
    """
    window = torch.hann_window(side + 2, periodic=False, dtype=torch.float64)[1:-1]
    return torch.outer(window, window).float()
