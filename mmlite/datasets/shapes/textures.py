"""Procedural textures as scalar fields in [0, 1]; a colour ramp is laid over them when painting.

Object textures live in the object's own frame: they turn, scale and move with it. ``u`` and ``v``
are float32 arrays of local coordinates (the object spans -1 to 1), ``frequency`` is in cycles per
unit, ``soft`` the width of one pixel in cycles, so that edges are antialiased at every scale.
"""

import cv2
import numpy as np

_NOISE_GRID = 32  # knots a side of the noise table, wrapped around


def object_texture(name, u, v, frequency, soft, phase, seed):
    """Evaluate the object texture ``name``.

    Args:
        name (str): a key of ``TEXTURES``.
        u, v (np.ndarray): ``(h, w)`` float32, local coordinates.
        frequency (float): cycles per unit.
        soft (float): size of one pixel, in cycles.
        phase (tuple[float, float]): shift of the pattern along u and v, in cycles.
        seed (int): fixes the noise of textures that have some; equal seeds give equal patterns.

    Returns:
        np.ndarray: ``(h, w)`` float32 in [0, 1].
    """
    a, b = phase
    field = TEXTURES[name](
        u * frequency + a, v * frequency + b, _Local(u, v, frequency, soft, seed)
    )
    return field.astype(np.float32, copy=False)


def value_noise(rng, height, width, cell):
    """Smooth noise in about [0, 1] with knots every ``cell`` pixels (a number, or ``(y, x)``)."""
    cell_y, cell_x = cell if isinstance(cell, tuple) else (cell, cell)
    rows, cols = int(height / cell_y) + 3, int(width / cell_x) + 3
    grid = rng.random((rows, cols), dtype=np.float32)
    scale = np.array([[1 / cell_x, 0, 1], [0, 1 / cell_y, 1]], np.float32)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(grid, scale, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT)


def fractal_noise(rng, height, width, cell, octaves=4, gain=0.5):
    """Sum of ``octaves`` value noises, each twice as fine and ``gain`` as strong; mean 0.5."""
    cell_y, cell_x = cell if isinstance(cell, tuple) else (cell, cell)
    total, weight, weights = np.zeros((height, width), np.float32), 1.0, 0.0
    for _ in range(octaves):
        total += weight * value_noise(rng, height, width, (max(cell_y, 1.0), max(cell_x, 1.0)))
        weights += weight
        weight *= gain
        cell_y, cell_x = cell_y / 2, cell_x / 2
    return total / weights


def local_noise(u, v, frequency, seed):
    """Value noise in [0, 1] over local coordinates, with ``frequency`` knots per unit."""
    table = np.random.default_rng(seed).random((_NOISE_GRID, _NOISE_GRID), dtype=np.float32)
    table = np.pad(table, 2, mode='wrap')
    x = np.mod(u * np.float32(frequency), _NOISE_GRID) + np.float32(1.5)
    y = np.mod(v * np.float32(frequency), _NOISE_GRID) + np.float32(1.5)
    return cv2.remap(table, x, y, cv2.INTER_CUBIC)


class _Local:
    """What a texture may need beside its two phases: plain coordinates, pixel width and noise."""

    def __init__(self, u, v, frequency, soft, seed):
        self.u, self.v = u, v
        self.frequency, self.soft = frequency, soft
        self._seed = seed

    def radius(self):
        return np.sqrt(self.u**2 + self.v**2)

    def turn(self):
        """Angle around the origin in turns, 0 to 1."""
        return cv2.phase(self.u, self.v) * np.float32(1 / (2 * np.pi))

    def edge(self, x, slope=1.0):
        """0 where x < 0, 1 where x > 0, antialiased; ``slope`` is the change of x per cycle."""
        return np.clip(0.5 + x / np.maximum(slope * self.soft, 1e-3), 0, 1)

    def noise(self, frequency):
        return local_noise(self.u, self.v, frequency, self._seed)


def _triangle_wave(x):
    """Period 1, from 0 at integers to 1 half-way."""
    return 1 - np.abs(2 * (x - np.floor(x)) - 1)


def _stripes(a, b, local):
    return local.edge(_triangle_wave(a) - 0.5, 2)


def _xor(p, q):
    return p + q - 2 * p * q


def _checks(a, b, local):
    return _xor(_stripes(a, b, local), _stripes(b, a, local))


def _dots(a, b, local):
    b = b * 1.2
    a = a * 1.2 + 0.5 * np.mod(np.floor(b), 2)
    return local.edge(0.34 - np.hypot(a - np.floor(a) - 0.5, b - np.floor(b) - 0.5), 1.2)


def _rings(a, b, local):
    return local.edge(_triangle_wave(local.radius() * local.frequency) - 0.5, 2)


def _zigzag(a, b, local):
    return _stripes(a + 0.7 * _triangle_wave(b), b, local)


def _rays(a, b, local):
    spokes = 10
    wave = _triangle_wave(local.turn() * spokes) - 0.5
    across = np.maximum(2 * np.pi * local.radius() * local.frequency, 0.2)
    return local.edge(wave, 2 * spokes / across)


def _gradient(a, b, local):
    return np.clip(0.5 + 0.55 * local.u, 0, 1)


def _lattice(a, b, local):
    lines = np.minimum(_triangle_wave(a * 1.2), _triangle_wave(b * 1.2))
    return local.edge(0.3 - lines, 2.4)


def _triangles(a, b, local):
    """Triangle tiling: three families of stripes whose edges meet in common points."""
    result = _stripes(a + 0.25, b, local)
    for side in (0.866, -0.866):
        result = _xor(result, _stripes(side * b - a / 2 + 0.25, b, local))
    return result


def _spots(a, b, local):
    return local.edge(local.noise(local.frequency * 1.6) - 0.54, 1.4)


def _spiral(a, b, local):
    return local.edge(_triangle_wave(local.radius() * local.frequency + local.turn()) - 0.5, 2)


def _scales(a, b, local):
    """Rows of overlapping arcs, like roof tiles: the nearest row below that covers the point."""
    b = b * 1.4
    row = np.floor(b)
    y = b - row
    x = a + 0.5 * np.mod(row, 2)
    x = np.abs(x - np.floor(x) - 0.5)
    depth = np.hypot(x, y * 0.75)
    upper = np.hypot(0.5 - x, (1 + y) * 0.75 - 0.75 + 0.28)
    return np.clip(np.where(depth < 0.52, depth / 0.52, upper * 0.6), 0, 1)


def _honeycomb(a, b, local):
    """Distance to the border of a hexagonal cell, thresholded to thin walls."""
    height = np.float32(np.sqrt(3))
    x1, y1 = np.mod(a, 1) - 0.5, np.mod(b, height) - height / 2
    x2, y2 = np.mod(a + 0.5, 1) - 0.5, np.mod(b + height / 2, height) - height / 2
    nearer = x1**2 + y1**2 < x2**2 + y2**2
    x, y = np.abs(np.where(nearer, x1, x2)), np.abs(np.where(nearer, y1, y2))
    return local.edge(np.maximum(x, x * 0.5 + y * (height / 2)) - 0.41)


def _speckle(a, b, local):
    return np.clip(1.6 * local.noise(local.frequency * 4.5) - 0.3, 0, 1)


def _mottled(a, b, local):
    return 0.1 + 0.8 * local.noise(local.frequency * 1.3)


def _plaid(a, b, local):
    thin = local.edge(_triangle_wave(a * 2) - 0.7, 4) * 0.25
    return 0.45 * _stripes(a, b, local) + 0.45 * _stripes(b, a, local) * (1 - thin) + thin * 0.4


def _weave(a, b, local):
    along_u = _checks(a * 0.5, b * 0.5, local)
    strands = along_u * _triangle_wave(b * 1.5) + (1 - along_u) * _triangle_wave(a * 1.5)
    return local.edge(strands - 0.4, 3)


TEXTURES = {
    'stripes': _stripes,
    'dots': _dots,
    'checks': _checks,
    'rings': _rings,
    'zigzag': _zigzag,
    'rays': _rays,
    'spots': _spots,
    'lattice': _lattice,
    'triangles': _triangles,
    'gradient': _gradient,
    'spiral': _spiral,
    'scales': _scales,
    'honeycomb': _honeycomb,
    'speckle': _speckle,
    'plaid': _plaid,
    'weave': _weave,
    'mottled': _mottled,
}
