"""Outlines of the generated objects: a family of closed polygons for each class.

An outline is a list of rings, float64 arrays ``(n, 2)`` of x and y (y down): the outer border, then
holes. Its bounding box is centred on the origin and the longer side of that spans -1 to 1.
"""

import numpy as np


def sample_outline(name, rng):
    """Sample an outline of the family ``name``: its proportions and shear vary."""
    shear = np.array([[1, 0], [rng.uniform(-0.12, 0.12), rng.uniform(0.85, 1)]])
    rings = [np.asarray(ring, np.float64) @ shear for ring in OUTLINES[name](rng)]
    low, high = rings[0].min(axis=0), rings[0].max(axis=0)
    return [(ring - (low + high) / 2) * (2 / (high - low).max()) for ring in rings]


def _angles(count):
    return np.arange(count) * (2 * np.pi / count)


_T = _angles(48)


def _polar(radius, start=0.0):
    """Closed ring of points at these radii and equal angles, from ``start`` (radians)."""
    angle = start + _angles(len(radius))
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _square(rng):
    slant = rng.uniform(0.85, 1)
    return [[(-slant, -1), (slant, -1), (1, 1), (-1, 1)]]


def _star(rng):
    points, inner = rng.integers(5, 7), rng.uniform(0.4, 0.5)
    return [_polar(np.tile([1, inner], points), -np.pi / 2)]


def _cross(rng):
    a = rng.uniform(0.26, 0.38)
    return _twice([(-a, -1), (a, -1), (a, -a), (1, -a), (1, a), (a, a)])


def _twice(half):
    """A ring of two equal halves, of which one is turned by 180 degrees."""
    return [half + [(-x, -y) for x, y in half]]


def _heart(rng):
    y = 13 * np.cos(_T) - 5 * np.cos(2 * _T) - 2 * np.cos(3 * _T) - np.cos(4 * _T)
    return [np.stack([16 * np.sin(_T) ** 3, -y], axis=1)]


def _crescent(rng):
    """A circle without another one; the two meet at 45 degrees above and below."""
    x, arcs = np.sqrt(0.5), []
    for center, step in ((0, 1), (rng.uniform(0.4, 0.55), -1)):
        radius, end = np.hypot(x - center, x), np.arctan2(x, x - center)
        t = np.linspace(end, 2 * np.pi - end, 36)[::step]
        arcs.append(np.stack([center + radius * np.cos(t), radius * np.sin(t)], axis=1))
    return [np.concatenate(arcs)]


def _arrow(rng):
    shaft, neck, head = rng.uniform(0.2, 0.3), rng.uniform(-0.1, 0.2), rng.uniform(0.65, 0.85)
    upper = [(-1, -shaft), (neck, -shaft), (neck, -head)]
    return [upper + [(1, 0)] + [(x, -y) for x, y in reversed(upper)]]


def _leaf(rng):
    x = np.linspace(-1, 1, 24)
    half = np.stack([x, rng.uniform(0.36, 0.48) * np.cos(x * np.pi / 2)], axis=1)
    return [np.concatenate([half, half[-2:0:-1] * [1, -1]])]


def _house(rng):
    eaves = rng.uniform(-0.35, -0.1)
    right = [(1, eaves), (0.78, eaves), (0.78, 1)]
    return [[(0, -1), *right, *((-x, y) for x, y in reversed(right))]]


def _blob(rng):
    """Irregular lump of no class."""
    radius = np.ones(64)
    for k in range(1, 5):
        radius += rng.uniform(0, 0.32 / k) * np.cos(k * _angles(64) + rng.uniform(0, 2 * np.pi))
    return [_polar(radius)]


OUTLINES = {
    'disc': lambda rng: [_polar(np.ones(48))],
    'square': _square,
    'triangle': lambda rng: [[(rng.uniform(-0.25, 0.25), -1), (1, 0.8), (-1, 0.8)]],
    'star': _star,
    'cross': _cross,
    'ring': lambda rng: [_polar(np.ones(48)), _polar(np.full(36, rng.uniform(0.42, 0.58)))],
    'heart': _heart,
    'crescent': _crescent,
    'hexagon': lambda rng: [_polar(np.ones(6))],
    'arrow': _arrow,
    'flower': lambda rng: [
        _polar(1 + rng.uniform(0.28, 0.4) * np.cos(rng.integers(5, 7) * _angles(80)))
    ],
    'leaf': _leaf,
    'gear': lambda rng: [
        _polar(np.tile(np.repeat([1, rng.uniform(0.7, 0.78)], 2), rng.integers(7, 10)))
    ],
    'drop': lambda rng: [
        np.stack([np.sin(_T) * np.sin(_T / 2) ** rng.uniform(1.3, 1.9), -np.cos(_T)], axis=1)
    ],
    'bolt': lambda rng: _twice([(0.35, -1), (-0.55, 0.15), (-0.02, rng.uniform(-0.02, 0.03))]),
    'house': _house,
    'blob': _blob,
}

CLASSES = tuple(OUTLINES)[:-1]
"""Object classes; a set with ``classes=N`` uses the first N."""
