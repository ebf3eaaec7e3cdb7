"""Textures of the objects: fields in [0, 1] between two colors, in the object's own frame.

``u`` and ``v`` are float32 arrays of local coordinates in cycles of the pattern and ``soft`` is the
width of a pixel in cycles, so that edges are antialiased at every scale.
"""

import numpy as np


def _edge(x, soft):
    """0 where x < 0, 1 where x > 0, antialiased over a width of ``soft``."""
    return np.clip(0.5 + x / max(soft, 1e-3), 0, 1)


def _wave(x):
    """Triangle wave of period 1, from 0 at integers to 1 halfway."""
    return 1 - np.abs(2 * (x - np.floor(x)) - 1)


def _stripes(u, v, soft):
    return _edge(_wave(u) - 0.5, 2 * soft)


def _dots(u, v, soft):
    v = 1.2 * v
    u = 1.2 * u + 0.5 * np.mod(np.floor(v), 2)
    return _edge(0.34 - np.hypot(u - np.floor(u) - 0.5, v - np.floor(v) - 0.5), 1.2 * soft)


def _checks(u, v, soft):
    a, b = _stripes(u, v, soft), _stripes(v, u, soft)
    return a + b - 2 * a * b


def _rings(u, v, soft):
    return _edge(_wave(np.hypot(u, v)) - 0.5, 2 * soft)


def _mottled(u, v, soft):
    """Smooth texture of clutter."""
    return 0.5 + 0.25 * (np.sin(3 * u + 2 * np.sin(2 * v)) + np.sin(4 * v + 2 * np.sin(3 * u)))


TEXTURES = dict(stripes=_stripes, dots=_dots, checks=_checks, rings=_rings, mottled=_mottled)
"""Classes have the first four in turn, clutter the last one."""
