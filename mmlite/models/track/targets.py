"""The score map that a target asks for, for whole batches on any device."""

import torch


def gaussian_radius(sizes, min_overlap=0.7):
    """Radius of the Gaussian around a target, CornerNet's historical formula.

    Its roots are divided by 2 where the quadratic formula says 2a; OSTrack was trained with them.

    Args:
        sizes (Tensor): (B, 2) widths and heights in cells.
        min_overlap (float): Least IoU of the boxes it stands for. Defaults to 0.7.

    Returns:
        Tensor: (B,) whole cells, as float.
    """
    total, area = sizes.sum(dim=1), sizes.prod(dim=1)
    m = min_overlap
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
    """Gaussian score maps, 1 in the cell of the centre and 0 beyond the radius.

    Args:
        boxes (Tensor): (B, 4) x, y, w, h as fractions of the search region's side, not clipped.
        side (int): Cells F of the map.

    Returns:
        Tensor: (B, 1, F, F). The cell of the centre is its rounded (half to even) position; where
        it lies outside, no cell is 1.
    """
    cells = boxes.float() * side
    centers = (cells[:, :2] + cells[:, 2:] / 2).round()
    radius = gaussian_radius(cells[:, 2:])[:, None]
    index = torch.arange(side, device=boxes.device)
    dx, dy = (index - centers[:, axis, None] for axis in (0, 1))
    variance = ((2 * radius + 1) / 6) ** 2
    along_x, along_y = (
        (-d.square() / (2 * variance)).exp() * (d.abs() <= radius) for d in (dx, dy)
    )
    return (along_y[:, :, None] * along_x[:, None, :])[:, None]
