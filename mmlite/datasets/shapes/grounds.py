"""Background textures, the 'stuff' classes: scalar fields in [0, 1] over a whole picture.

Each function takes a generator, the picture's height and width, and ``scale``, the size of the
pattern relative to a 320 px picture, and returns a float32 array ``(height, width)``.
"""

import cv2
import numpy as np

from .textures import fractal_noise, value_noise


def ground_texture(name, seed, height, width, scale):
    """Evaluate the background texture ``name`` (a key of ``GROUNDS``); see the module."""
    field = GROUNDS[name](np.random.default_rng(seed), height, width, scale)
    return np.clip(field, 0, 1).astype(np.float32, copy=False)


def _axes(height, width):
    y = np.arange(height, dtype=np.float32)[:, None]
    x = np.arange(width, dtype=np.float32)[None, :]
    return y, x


def _clouds(rng, height, width, scale):
    return 1.5 * fractal_noise(rng, height, width, 90 * scale, 4, 0.45) - 0.25


def _grass(rng, height, width, scale):
    """Upright blades: noise stretched along y, over light and dark patches."""
    blades = fractal_noise(rng, height, width, (26 * scale, 4 * scale), 2, 0.7)
    patches = value_noise(rng, height, width, 70 * scale)
    return 1.5 * blades - 0.45 + 0.4 * patches


def _sand(rng, height, width, scale):
    """Fine grain over faint ripples."""
    y, x = _axes(height, width)
    bend = value_noise(rng, height, width, 60 * scale)
    ripples = np.sin(bend * 9 + (y + 0.3 * x) * (0.16 / scale))
    grain = rng.random((height, width), dtype=np.float32)
    return 0.36 + 0.1 * ripples + 0.38 * cv2.blur(grain, (2, 2))


def _water(rng, height, width, scale):
    """Long horizontal waves with bright crests."""
    y, _ = _axes(height, width)
    swell = fractal_noise(rng, height, width, (22 * scale, 80 * scale), 3)
    wave = np.abs(np.sin(y * (0.2 / scale) + 11 * swell))
    return 0.85 - 0.8 * np.sqrt(wave)


def _bricks(rng, height, width, scale):
    """Courses of bricks, each of its own tone, with light joints."""
    y, x = _axes(height, width)
    brick_h, brick_w = rng.uniform(15, 20) * scale, rng.uniform(36, 48) * scale
    down = y / brick_h + np.float32(rng.random())
    across = x / brick_w + 0.5 * np.mod(np.floor(down), 2) + np.float32(rng.random())
    joint_x = np.abs(across - np.round(across)) * brick_w
    joint_y = np.abs(down - np.round(down)) * brick_h
    tones = rng.random(4096, dtype=np.float32)
    brick = (np.floor(down) * 61 + np.floor(across)).astype(np.int32) & 4095
    rough = fractal_noise(rng, height, width, 8 * scale, 2)
    body = 0.05 + 0.45 * tones[brick] + 0.3 * rough
    joint = np.clip(1.6 * scale - np.minimum(joint_x, joint_y), 0, 1)
    return body + (0.95 - body) * joint


def _wood(rng, height, width, scale):
    """Boards with flowing grain along x."""
    y, _ = _axes(height, width)
    flow = fractal_noise(rng, height, width, (34 * scale, 200 * scale), 2)
    fibre = value_noise(rng, height, width, (2.2 * scale, 40 * scale))
    grain = 0.5 + 0.5 * np.sin(y * (0.22 / scale) + 16 * flow)
    board = rng.uniform(52, 76) * scale
    seam = np.abs(y / board - np.round(y / board)) * board
    field = 0.2 + 0.4 * grain + 0.3 * fibre
    return field * (1 - 0.8 * np.clip(1.6 * scale - seam, 0, 1))


def _marble(rng, height, width, scale):
    """Polished stone: slanting bands bent by noise, each fading away from a dark vein."""
    y, x = _axes(height, width)
    bend = fractal_noise(rng, height, width, 70 * scale, 4, 0.55)
    lean = rng.uniform(-0.8, 0.8)
    band = (y * np.float32(0.016 / scale) + x * np.float32(lean * 0.016 / scale)) + 2.4 * bend
    vein = np.abs(2 * (band - np.floor(band)) - 1)
    cloud = fractal_noise(rng, height, width, 40 * scale, 3)
    return 1 - 0.9 * (1 - vein) ** 5 - 0.45 * cloud


def _pebbles(rng, height, width, scale):
    """Rounded stones: cells around jittered points, dark in the gaps."""
    cell = rng.uniform(15, 21) * scale
    rows, cols = int(height / cell) + 1, int(width / cell) + 1
    jitter = rng.random((rows, cols, 2))
    py = ((np.arange(rows)[:, None] + 0.15 + 0.7 * jitter[..., 0]) * cell).astype(int)
    px = ((np.arange(cols)[None, :] + 0.15 + 0.7 * jitter[..., 1]) * cell).astype(int)
    empty = np.full((height, width), 255, np.uint8)
    inside = (py < height) & (px < width)
    empty[py[inside], px[inside]] = 0
    distance, label = cv2.distanceTransformWithLabels(empty, cv2.DIST_L2, 5)
    tones = rng.random(rows * cols + 1).astype(np.float32)
    return (0.35 + 0.55 * tones[label]) * np.clip(1.25 - (distance / (0.72 * cell)) ** 2, 0.06, 1)


GROUNDS = {
    'clouds': _clouds,
    'grass': _grass,
    'sand': _sand,
    'water': _water,
    'bricks': _bricks,
    'wood': _wood,
    'marble': _marble,
    'pebbles': _pebbles,
}
