"""Geometry of rotated boxes: center x, y, width, height in pixels, angle in radians."""

import torch

PAIRS = 2**18  # in memory at once


def iou(boxes1, boxes2, of_first=False):
    """Intersection over union, or over the area of the first box, of boxes (..., 5) that broadcast.

    It is 0 where a box has no area.
    """
    area1, area2 = (boxes[..., 2] * boxes[..., 3] for boxes in (boxes1, boxes2))
    first = area1 < area2
    columns = list(zip(_columns(boxes1), _columns(boxes2), strict=True))
    small = [a.where(first, b) for a, b in columns]
    large = [b.where(first, a) for a, b in columns]
    common = _intersection(small, large)
    # rounding must not let boxes overlap that are apart: a threshold may be 0
    common = common.where(common > 16 * torch.finfo(common.dtype).eps * small[2] * small[3], 0)
    base = area1 if of_first else area1 + area2 - common
    return (common / base).where((area1 >= 1e-14) & (area2 >= 1e-14), 0)


def _columns(boxes):
    """Columns of boxes (..., 5) of positive size, and the cosine and sine of their angles."""
    x, y, width, height, angle = boxes.unbind(-1)
    return x, y, width.abs(), height.abs(), angle, angle.cos(), angle.sin()


def _intersection(small, large):
    """Common area.

    In the frame of the small box it is the integral of x, clipped to its width, over y, clipped to
    its height, once around the large one. Unlike a clipped polygon it has no corners to sort and
    depends continuously on the boxes, also where edges coincide.
    """
    x0, y0, width0, height0, angle0, cos, sin = small
    x, y, width, height, angle, *_ = large
    x, y = x - x0, y - y0
    x, y = x * cos + y * sin, y * cos - x * sin
    cos, sin = (angle - angle0).cos() / 2, (angle - angle0).sin() / 2
    across, down = (width * cos, width * sin), (-height * sin, height * cos)
    start_x, start_y = (
        torch.stack([center - a - d, center + a - d, center + a + d, center - a + d])
        for center, a, d in zip((x, y), across, down, strict=True)
    )
    edge_x, edge_y = start_x.roll(-1, 0) - start_x, start_y.roll(-1, 0) - start_y
    from_y = start_y.clamp(-height0 / 2, height0 / 2)
    till_y = from_y.roll(-1, 0)
    length = edge_y.where(edge_y != 0, 1)
    from_x, till_x = (
        start_x + edge_x * ((end - start_y) / length).clamp(0, 1) for end in (from_y, till_y)
    )
    low, high = torch.minimum(from_x, till_x), torch.maximum(from_x, till_x)
    # the mean of x, clipped, along an edge
    low_in, high_in = (end.clamp(-width0 / 2, width0 / 2) for end in (low, high))
    total = (high_in - low_in) * (high_in + low_in) / 2
    total = total + high_in * (high - high_in) - low_in * (low - low_in)
    mean = total / (high - low).clamp(min=torch.finfo(total.dtype).tiny)
    return (mean.clamp(low_in, high_in) * (till_y - from_y)).sum(0)
