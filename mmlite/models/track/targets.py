"""Maps over the cells of a search region: scores of targets, and the window over scores."""

import torch


def gaussian_radius(sizes):
    """Radius in cells, (B,) float, of the Gaussian around targets of (w, h) cells (B, 2).

    CornerNet's historical formula, with which OSTrack was trained, divides roots by 2, not by 2a.
    """
    total, area, m = sizes.sum(dim=1), sizes.prod(dim=1), 0.7  # the least IoU
    radii = [
        (b + (b * b - 4 * a * c).clamp(min=0).sqrt()) / 2
        for a, b, c in (
            (1, total, area * (1 - m) / (1 + m)),
            (4, 2 * total, area * (1 - m)),
            (4 * m, -2 * m * total, area * (m - 1)),
        )
    ]
    return torch.stack(radii).amin(dim=0).clamp(min=0).floor()


def score_target(boxes, side):
    """Gaussian score maps (B, 1, side, side), 1 in the cell of the center, 0 beyond the radius.

    ``boxes`` (B, 4) are x, y, w, h as fractions of the region's side, not clipped.
    """
    cells = boxes.float() * side
    centers = (cells[:, :2] + cells[:, 2:] / 2).round()  # half to even; may lie outside
    radius = gaussian_radius(cells[:, 2:])[:, None]
    index = torch.arange(side, device=boxes.device)
    dx, dy = (index - centers[:, axis, None] for axis in (0, 1))
    variance = ((2 * radius + 1) / 6) ** 2
    x, y = ((-d.square() / (2 * variance)).exp() * (d.abs() <= radius) for d in (dx, dy))
    return (y[:, :, None] * x[:, None, :])[:, None]


def hann_window(side):
    """Two-dimensional Hann window (side, side), float32, without its zeros (OSTrack)."""
    window = torch.hann_window(side + 2, periodic=False, dtype=torch.float64)[1:-1]
    return torch.outer(window, window).float()
