"""Images and exact masks of scenes."""

from dataclasses import dataclass

import cv2
import numpy as np

from .scene import silhouette
from .spec import STUFF
from .textures import TEXTURES, ground_texture, noise

_OVERSAMPLING = 4  # of an outline's coverage, on each axis


@dataclass(frozen=True)
class Rendering:
    """A rendered scene."""

    image: np.ndarray  # (H, W, 3) uint8 RGB
    owner: np.ndarray  # (H, W) int16: index of the visible object, -1 elsewhere
    stuff: np.ndarray  # (H, W) uint8: index in STUFF of the background, also behind objects
    amodal: tuple  # pixels of each object, hidden ones too
    inside: tuple  # those within the image

    def mask(self, index):
        """Visible pixels of object ``index``, (H, W) bool."""
        return self.owner == index


def render(scene, ground=None):
    """Paint a scene from back to front, on the background of ``paint_ground`` or its own one."""
    colors, stuff = ground or paint_ground(scene.regions, scene.height, scene.width)
    canvas = colors.copy()
    owner = np.full((scene.height, scene.width), -1, np.int16)
    sizes = [_paint_object(canvas, owner, *item) for item in enumerate(scene.instances)]
    amodal, inside = zip(*sizes, strict=True) if sizes else ((), ())
    return Rendering(_expose(canvas, scene.exposure), owner, stuff, amodal, inside)


def paint_ground(regions, height, width):
    """Background colors (H, W, 3) float32 and stuff map (H, W) uint8."""
    canvas = np.zeros((height, width, 3), np.float32)
    stuff = np.zeros((height, width), np.uint8)
    side = max(height, width)
    y, x = np.ogrid[-height / 2 : height / 2, -width / 2 : width / 2]
    for number, region in enumerate(regions):
        field = ground_texture(STUFF[region.stuff], region.seed, height, width, region.scale)
        colors = _ramp(field, region.colors)
        if number == 0:
            canvas, stuff[:] = colors, region.stuff
            continue
        # signed distance (px, about) from a wavy line, positive inside the region
        wave = noise(np.random.default_rng(region.seed), height, width, (side / 3, side / 3)) - 0.5
        along = x * np.cos(region.angle) + y * np.sin(region.angle)
        beyond = (along + side * (0.3 * wave - region.offset)).astype(np.float32)
        canvas += (colors - canvas) * np.clip(beyond + 0.5, 0, 1)[..., None]
        stuff[beyond >= 0] = region.stuff
    return canvas, stuff


def _paint_object(canvas, owner, index, instance):
    """Paint one object in place; return the numbers of its pixels and of those in the image."""
    rings = instance.rings()
    low = np.floor(rings[0].min(axis=0)).astype(int) - 1
    width, height = (np.ceil(rings[0].max(axis=0)).astype(int) + 1 - low).tolist()
    fine = [(ring - low) * _OVERSAMPLING for ring in rings]
    fine = silhouette(fine, height * _OVERSAMPLING, width * _OVERSAMPLING) * np.uint8(255)
    coverage = cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA) / np.float32(255)
    solid = coverage >= 0.5
    x, y = low.tolist()
    rows = slice(*np.clip([y, y + height], 0, canvas.shape[0]).tolist())
    columns = slice(*np.clip([x, x + width], 0, canvas.shape[1]).tolist())
    window = slice(rows.start - y, rows.stop - y), slice(columns.start - x, columns.stop - x)
    if not solid[window].size:
        return int(solid.sum()), 0
    part = canvas[rows, columns]
    part += (_object_colors(instance, rows, columns) - part) * coverage[window][..., None]
    owner[rows, columns][solid[window]] = index
    return int(solid.sum()), int(solid[window].sum())


def _object_colors(instance, rows, columns):
    """Colors of an object in a window of the image, (h, w, 3) float32."""
    skin, pose = instance.skin, instance.pose
    cycles = (skin.frequency * np.linalg.inv(pose.axes())).astype(np.float32)
    x = np.arange(columns.start, columns.stop, dtype=np.float32) + np.float32(0.5 - pose.x)
    y = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] + np.float32(0.5 - pose.y)
    u, v = (row[0] * x + row[1] * y for row in cycles)
    if skin.texture != 'rings':  # those stay around the center
        u, v = u + np.float32(skin.phase[0]), v + np.float32(skin.phase[1])
    return _ramp(TEXTURES[skin.texture](u, v, float(np.abs(cycles).max())), skin.colors)


def _ramp(field, colors):
    """Interpolate between two colors by a field in [0, 1]."""
    first, second = np.asarray(colors, np.float32)
    return first + field[..., None] * (second - first)


def _expose(canvas, exposure):
    """Light, blur and noise: (H, W, 3) uint8."""
    height, width = canvas.shape[:2]
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)
    level = 1 + exposure.slope * (np.cos(exposure.angle) * x + np.sin(exposure.angle) * y)
    canvas = canvas * (level[..., None] * exposure.tint).astype(np.float32)
    if exposure.blur:
        canvas = cv2.GaussianBlur(canvas, (0, 0), exposure.blur)
    rng = np.random.default_rng(exposure.seed)
    canvas += exposure.noise * rng.standard_normal(canvas.shape, dtype=np.float32)
    return np.clip(canvas * 255 + 0.5, 0, 255).astype(np.uint8)
