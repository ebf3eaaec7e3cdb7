"""Textures of the background, the 'stuff' classes: float32 fields in [0, 1] over an image.

``scale`` is the size of the pattern relative to that in an image of 320 px.
"""

import cv2
import numpy as np


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
