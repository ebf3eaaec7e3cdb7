"""From a scene to a picture and its exact masks."""

from dataclasses import dataclass

import cv2
import numpy as np

from .grounds import ground_texture
from .scene import silhouette
from .spec import STUFF
from .textures import local_noise, object_texture, value_noise

_OVERSAMPLING = 4  # of an outline's coverage, on each axis


@dataclass(frozen=True)
class Picture:
    """A rendered scene.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        owner: (H, W) int16, index of the object seen at a pixel in ``scene.instances``, -1 where
            it is background. Blur and noise do not touch it.
        stuff: (H, W) uint8, index in ``STUFF`` of the background at a pixel, also behind objects.
        amodal: tuple of int, pixels that each object would show if nothing hid it and the picture
            had no border.
        inside: tuple of int, those of them that lie within the picture.
    """

    image: np.ndarray
    owner: np.ndarray
    stuff: np.ndarray
    amodal: tuple
    inside: tuple

    def mask(self, index):
        """(H, W) bool: visible pixels of object ``index``."""
        return self.owner == index


def render(scene, ground=None):
    """Paint a scene from back to front.

    Args:
        scene (Scene): what to paint.
        ground (tuple, optional): colours and stuff map of the background as ``paint_ground``
            gives them, for sequences; painted from ``scene.regions`` by default.

    Returns:
        Picture: the picture, its visible masks and the full size of every object.
    """
    colors, stuff = ground or paint_ground(scene.regions, scene.height, scene.width)
    canvas = colors.copy()
    owner = np.full((scene.height, scene.width), -1, np.int16)
    sizes = [_paint_object(canvas, owner, i, o, scene) for i, o in enumerate(scene.instances)]
    amodal, inside = zip(*sizes, strict=True) if sizes else ((), ())
    return Picture(_expose(canvas, scene), owner, stuff, amodal, inside)


def paint_ground(regions, height, width):
    """Background colours (H, W, 3) float32 and stuff map (H, W) uint8."""
    canvas = np.zeros((height, width, 3), np.float32)
    stuff = np.zeros((height, width), np.uint8)
    for number, region in enumerate(regions):
        name = STUFF[region.stuff]
        field = ground_texture(name, region.seed, height, width, region.scale)
        colors = _ramp(field, region.colors) * _drift(region, height, width)
        if number == 0:
            canvas, stuff[:] = colors, region.stuff
            continue
        beyond = _beyond_line(region, height, width)
        canvas += (colors - canvas) * np.clip(beyond + 0.5, 0, 1)[..., None]
        stuff[beyond >= 0] = region.stuff
    return canvas, stuff


def _drift(region, height, width):
    """Slow change of brightness and hue over a background, (H, W, 3): no surface is even."""
    rng = np.random.default_rng(region.seed + 1)
    knots = rng.uniform(0.94, 1.06, (4, 4, 3)) * rng.uniform(0.86, 1.14, (4, 4, 1))
    return cv2.resize(knots.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)


def _beyond_line(region, height, width):
    """Signed distance (px, about) from the wavy border of a region, positive inside it."""
    y = np.arange(height, dtype=np.float32)[:, None] - height / 2
    x = np.arange(width, dtype=np.float32)[None, :] - width / 2
    side = max(height, width)
    rng = np.random.default_rng(region.seed)
    wave = value_noise(rng, height, width, side / 3) - 0.5
    along = x * np.float32(np.cos(region.angle)) + y * np.float32(np.sin(region.angle))
    return along - region.offset * side + 0.3 * side * wave


def _paint_object(canvas, owner, index, instance, scene):
    """Shade, shadow and colour one object in place; return its size and that inside, in pixels."""
    rings = instance.rings()
    low = np.floor(rings[0].min(axis=0)).astype(int) - 1
    high = np.ceil(rings[0].max(axis=0)).astype(int) + 1
    coverage = _coverage(rings, low, high)
    solid = coverage >= 0.5
    _cast_shadow(canvas, coverage, low, instance.pose.size, scene.light)
    target, source = _overlap(canvas.shape, low, coverage.shape)
    if target is None:
        return int(solid.sum()), 0
    relief = _relief(coverage, instance.pose.size, scene.light)[source]
    x0, y0 = low[0] + source[1].start, low[1] + source[0].start
    colors = _object_colors(instance, x0, y0, *relief.shape, scene.light)
    colors *= (1 + relief)[..., None]
    part = canvas[target]
    part += (colors - part) * coverage[source][..., None]
    owner[target][solid[source]] = index
    return int(solid.sum()), int(solid[source].sum())


def _coverage(rings, low, high):
    """Fraction of each pixel inside the rings, in the window from ``low`` to ``high`` (x, y)."""
    width, height = (high - low).tolist()
    fine = [(ring - low) * _OVERSAMPLING for ring in rings]
    mask = silhouette(fine, height * _OVERSAMPLING, width * _OVERSAMPLING)
    area = cv2.resize(mask * np.uint8(255), (width, height), interpolation=cv2.INTER_AREA)
    return area.astype(np.float32) * np.float32(1 / 255)


def _overlap(shape, low, window):
    """Slices of the picture and of a window placed at ``low`` (x, y) where both are, or None."""
    x0, y0 = max(low[0], 0), max(low[1], 0)
    x1, y1 = min(low[0] + window[1], shape[1]), min(low[1] + window[0], shape[0])
    if x0 >= x1 or y0 >= y1:
        return None, None
    target = slice(y0, y1), slice(x0, x1)
    return target, (slice(y0 - low[1], y1 - low[1]), slice(x0 - low[0], x1 - low[0]))


def _smooth(image, radius):
    """Two box filters: close to a Gaussian and independent of the radius in cost."""
    kernel = 2 * max(1, round(radius)) + 1
    return cv2.blur(cv2.blur(image, (kernel, kernel)), (kernel, kernel))


def _cast_shadow(canvas, coverage, low, size, light):
    """Darken the background beside an object, away from the light."""
    reach = max(2, round(size * 0.07))
    shift = np.round(np.array([np.cos(light.angle), np.sin(light.angle)]) * -reach).astype(int)
    pad = 2 * reach
    shadow = cv2.copyMakeBorder(coverage, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=0)
    target, source = _overlap(canvas.shape, low - pad + shift, shadow.shape)
    if target is not None:
        canvas[target] *= (1 - light.shadow * _smooth(shadow, reach / 2)[source])[..., None]


def _relief(coverage, size, light):
    """Brightness change of a slightly raised object: bright rims towards the light."""
    depth = max(1.0, size * 0.035)
    height = _smooth(coverage, depth)
    slope_x = cv2.Sobel(height, cv2.CV_32F, 1, 0, scale=depth / 4)
    slope_y = cv2.Sobel(height, cv2.CV_32F, 0, 1, scale=depth / 4)
    facing = slope_x * np.cos(light.angle) + slope_y * np.sin(light.angle)
    return np.float32(-light.relief) * facing.astype(np.float32)


def _object_colors(instance, x0, y0, height, width, light):
    """Texture of an object in the window at ``x0, y0``: (height, width, 3) float32."""
    skin, pose = instance.skin, instance.pose
    inverse = np.linalg.inv(pose.axes()).astype(np.float32)
    x = (np.arange(width, dtype=np.float32) + np.float32(x0 + 0.5 - pose.x))[None, :]
    y = (np.arange(height, dtype=np.float32) + np.float32(y0 + 0.5 - pose.y))[:, None]
    u = inverse[0, 0] * x + inverse[0, 1] * y
    v = inverse[1, 0] * x + inverse[1, 1] * y
    cos, sin = np.float32(np.cos(skin.turn)), np.float32(np.sin(skin.turn))
    soft = float(skin.frequency * np.abs(inverse).max())
    field = object_texture(
        skin.texture, cos * u - sin * v, sin * u + cos * v, skin.frequency, soft, skin.phase,
        skin.seed,
    )  # fmt: skip
    shade = (np.cos(light.angle) * x + np.sin(light.angle) * y) * (light.relief / pose.size)
    shade += 0.9 + 0.22 * local_noise(u, v, 7, skin.seed + 1)
    return _ramp(field, skin.colors) * shade[..., None]


def _ramp(field, colors):
    """Lay the line between two colours over a field in [0, 1]."""
    first, second = np.asarray(colors, np.float32)
    return first + field[..., None] * (second - first)


def _expose(canvas, scene):
    """Light the whole picture, blur it, add sensor noise: (H, W, 3) uint8."""
    light, camera = scene.light, scene.camera
    y = np.linspace(-1, 1, scene.height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, scene.width, dtype=np.float32)[None, :]
    level = 1 + light.slope * (np.cos(light.angle) * x + np.sin(light.angle) * y)
    level -= light.vignette * 0.5 * (x**2 + y**2)
    canvas *= level[..., None] * np.asarray(light.tint, np.float32)
    if camera.blur:
        canvas = cv2.GaussianBlur(canvas, (0, 0), camera.blur)
    noise = np.random.default_rng(camera.seed).standard_normal(canvas.shape, dtype=np.float32)
    canvas += camera.noise * noise
    return np.clip(canvas * 255 + 0.5, 0, 255).astype(np.uint8)
