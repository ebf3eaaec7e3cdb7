"""The window that keeps a tracker near where the target was."""

import torch


def hann_window(side):
    """Two-dimensional Hann window without its zeros.

    Args:
        side (int): Cells F of the score map.

    Returns:
        Tensor: (F, F) float32, the outer product of ``(1 - cos(2 pi k / (F + 1))) / 2``, k from 1
        to F (OSTrack).
    """
    window = torch.hann_window(side + 2, periodic=False, dtype=torch.float64)[1:-1]
    return torch.outer(window, window).float()
