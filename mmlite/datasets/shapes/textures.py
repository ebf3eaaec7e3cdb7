"""Textures: float32 fields in [0, 1], of objects and, the 'stuff' classes, of backgrounds.

Those of objects are between two colors, in the object's own frame: ``u`` and ``v`` are float32
arrays of local coordinates in cycles of the pattern and ``soft`` is the width of a pixel in cycles,
so that edges are antialiased at every scale. Those of backgrounds fill an image: ``scale`` is the
size of the pattern relative to that in an image of 320 px.
"""

import cv2
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


def noise(rng, height, width, cell, octaves=1):
    """Smooth noise, about 0 to 1, with knots every ``cell`` (y, x) px and finer ``octaves``."""
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        y, x = (max(1.0, length / 2**octave) for length in cell)
        knots = rng.random((int(height / y) + 3, int(width / x) + 3), dtype=np.float32)
        matrix = np.array([[1 / x, 0, 1], [0, 1 / y, 1]], np.float32)
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        total += 0.5**octave * cv2.warpAffine(knots, matrix, (width, height), flags=flags)
    return total / (2 - 0.5 ** (octaves - 1))


def _clouds(rng, height, width, scale):
    return 1.5 * noise(rng, height, width, (90 * scale, 90 * scale), octaves=4) - 0.25


def _grass(rng, height, width, scale):
    """Upright blades over light and dark patches."""
    blades = noise(rng, height, width, (26 * scale, 4 * scale), octaves=2)
    return 1.5 * blades - 0.45 + 0.4 * noise(rng, height, width, (70 * scale, 70 * scale))


def _water(rng, height, width, scale):
    """Long horizontal waves with bright crests."""
    swell = noise(rng, height, width, (22 * scale, 80 * scale), octaves=3)
    y = np.arange(height, dtype=np.float32)[:, None]
    return 0.85 - 0.8 * np.sqrt(np.abs(np.sin(y * np.float32(0.2 / scale) + 11 * swell)))


def _bricks(rng, height, width, scale):
    """Courses of bricks, each of its own tone, with light joints."""
    tall, wide = rng.uniform((15, 36), (20, 48)) * scale
    down = np.arange(height)[:, None] / tall + rng.random()
    across = np.arange(width) / wide + 0.5 * np.mod(np.floor(down), 2)
    joint = np.minimum(
        wide * np.abs(across - np.round(across)), tall * np.abs(down - np.round(down))
    )
    number = (61 * np.floor(down) + np.floor(across)).astype(int)
    body = 0.05 + 0.45 * rng.random(4096)[number % 4096]
    body = body + 0.3 * noise(rng, height, width, (8 * scale, 8 * scale), octaves=2)
    return body + (0.95 - body) * np.clip(1.6 * scale - joint, 0, 1)


GROUNDS = {'clouds': _clouds, 'grass': _grass, 'water': _water, 'bricks': _bricks}


def ground_texture(name, seed, height, width, scale):
    """Evaluate the background texture ``name``, a key of ``GROUNDS``."""
    field = GROUNDS[name](np.random.default_rng(seed), height, width, scale)
    return np.clip(field, 0, 1).astype(np.float32, copy=False)
