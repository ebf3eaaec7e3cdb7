"""Outlines of the generated objects: one family of closed polygons for each name.

An outline is a list of rings, float64 arrays ``(n, 2)`` of x and y (y down). The first ring is the
outer border, the others are holes. It is centred on the origin and its longer side spans -1 to 1.
Every draw from a family differs a little: proportions, number of points, a soft overall bend.
"""

import numpy as np

_MAX_EDGE = 0.12  # longest edge after subdivision, so that a bend acts on straight sides too


def sample_outline(name, rng):
    """One member of the outline family ``name``.

    Args:
        name (str): a key of ``OUTLINES``.
        rng (np.random.Generator): source of the variation.

    Returns:
        list[np.ndarray]: outer ring and holes, each ``(n, 2)``, in the unit frame of this module.
    """
    rings = [_subdivide(np.asarray(ring, np.float64)) for ring in OUTLINES[name](rng)]
    frequency = rng.uniform(0.8, 1.6, 2)
    phase = rng.uniform(0, 2 * np.pi, 2)
    bend = rng.uniform(0.0, 0.06)
    shear = rng.uniform(-0.12, 0.12)
    warped = []
    for ring in rings:
        x, y = ring[:, 0], ring[:, 1]
        warped.append(
            np.stack(
                [
                    x + shear * y + bend * np.sin(2 * frequency[0] * y + phase[0]),
                    y + bend * np.sin(2 * frequency[1] * x + phase[1]),
                ],
                axis=1,
            )
        )
    return _normalise(warped)


def _subdivide(ring):
    """Add points so that no edge of the closed ring is longer than ``_MAX_EDGE``."""
    following = np.roll(ring, -1, axis=0)
    pieces = []
    for start, end in zip(ring, following, strict=True):
        steps = max(1, int(np.ceil(np.hypot(*(end - start)) / _MAX_EDGE)))
        pieces.append(start + (end - start) * (np.arange(steps) / steps)[:, None])
    return np.concatenate(pieces)


def _normalise(rings):
    """Centre the outer ring's bounding box and scale its longer side to 2."""
    low, high = rings[0].min(axis=0), rings[0].max(axis=0)
    return [(ring - (low + high) / 2) * (2 / (high - low).max()) for ring in rings]


def _polar(radius, start=0.0):
    """Closed ring with these radii at equal angles, from ``start`` (radians)."""
    radius = np.asarray(radius, np.float64)
    angle = start + np.arange(len(radius)) * (2 * np.pi / len(radius))
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _disc(rng):
    return [_polar(np.ones(48)) * [1, rng.uniform(0.8, 1)]]


def _square(rng):
    slant = rng.uniform(0.85, 1)
    return [[(-slant, -1), (slant, -1), (1, 1), (-1, 1)]]


def _triangle(rng):
    return [[(rng.uniform(-0.25, 0.25), -1), (1, 0.8), (-1, 0.8)]]


def _star(rng):
    points, inner = rng.integers(5, 7), rng.uniform(0.4, 0.5)
    return [_polar(np.tile([1, inner], points), -np.pi / 2)]


def _cross(rng):
    a = rng.uniform(0.26, 0.38)
    corner = [(-a, -1), (a, -1), (a, -a), (1, -a), (1, a), (a, a)]
    return [corner + [(-x, -y) for x, y in corner]]


def _ring(rng):
    return [_polar(np.ones(48)), _polar(np.full(36, rng.uniform(0.42, 0.58)))]


def _heart(rng):
    t = np.arange(48) * (2 * np.pi / 48)
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return [np.stack([16 * np.sin(t) ** 3, -y * rng.uniform(0.9, 1.1)], axis=1)]


def _crescent(rng):
    shift, inner = rng.uniform(0.5, 0.62), rng.uniform(0.78, 0.9)
    x = (1 + shift**2 - inner**2) / (2 * shift)  # where the two circles cross
    outer_angle = np.arccos(x)
    inner_angle = np.arccos((x - shift) / inner)
    outer = np.linspace(outer_angle, 2 * np.pi - outer_angle, 40)
    cut = np.linspace(2 * np.pi - inner_angle, inner_angle, 32)[1:-1]
    return [
        np.concatenate(
            [
                np.stack([np.cos(outer), np.sin(outer)], axis=1),
                np.stack([shift + inner * np.cos(cut), inner * np.sin(cut)], axis=1),
            ]
        )
    ]


def _hexagon(rng):
    return [_polar(np.ones(6)) * [1, rng.uniform(0.85, 1)]]


def _arrow(rng):
    shaft, neck, head = rng.uniform(0.2, 0.3), rng.uniform(-0.1, 0.2), rng.uniform(0.65, 0.85)
    upper = [(-1, -shaft), (neck, -shaft), (neck, -head)]
    return [upper + [(1, 0)] + [(x, -y) for x, y in reversed(upper)]]


def _flower(rng):
    angle = np.arange(80) * (2 * np.pi / 80)
    return [_polar(1 + rng.uniform(0.28, 0.4) * np.cos(rng.integers(5, 7) * angle))]


def _leaf(rng):
    x = np.linspace(-1, 1, 24)
    half = rng.uniform(0.36, 0.48) * np.cos(x * np.pi / 2) ** 0.8
    upper, lower = np.stack([x, -half], axis=1), np.stack([x, half], axis=1)
    return [np.concatenate([upper, lower[-2:0:-1]])]


def _gear(rng):
    teeth, depth = rng.integers(7, 10), rng.uniform(0.7, 0.78)
    return [_polar(np.tile([1, 1, depth, depth], teeth))]


def _drop(rng):
    t = np.arange(48) * (2 * np.pi / 48)
    return [np.stack([np.sin(t) * np.sin(t / 2) ** rng.uniform(1.3, 1.9), -np.cos(t)], axis=1)]


def _bolt(rng):
    w = rng.uniform(0.24, 0.34)
    corner = [(0.35, -1), (-0.55, 0.15), (-0.02, 0.15 - w / 2)]
    return [corner + [(-x, -y) for x, y in corner]]


def _house(rng):
    eaves = rng.uniform(-0.35, -0.1)
    right = [(1, eaves), (0.78, eaves), (0.78, 1)]
    return [[(0, -1), *right, *((-x, y) for x, y in reversed(right))]]


def _blob(rng):
    """Irregular lump of no class: the outline of clutter and of passing occluders."""
    angle = np.arange(64) * (2 * np.pi / 64)
    radius = np.ones(64)
    for k in range(1, 5):
        radius += rng.uniform(0, 0.32 / k) * np.cos(k * angle + rng.uniform(0, 2 * np.pi))
    return [_polar(radius)]


OUTLINES = {
    'disc': _disc,
    'square': _square,
    'triangle': _triangle,
    'star': _star,
    'cross': _cross,
    'ring': _ring,
    'heart': _heart,
    'crescent': _crescent,
    'hexagon': _hexagon,
    'arrow': _arrow,
    'flower': _flower,
    'leaf': _leaf,
    'gear': _gear,
    'drop': _drop,
    'bolt': _bolt,
    'house': _house,
    'blob': _blob,
}
