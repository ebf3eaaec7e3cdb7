"""Scenes as plain data, and how their parts and layout are sampled."""

import colorsys
from dataclasses import dataclass

import cv2
import numpy as np

from .outlines import CLASSES, sample_outline
from .spec import CLUTTER, STUFF
from .textures import TEXTURES

_PLACEMENT_TRIES = 12
_HUE_SPREAD = 0.4  # of the way to the next class's hue, where color tells the class
_CROWDING = 0.3  # probability to be put next to an object
_CLUTTER_SIZE = 0.6  # relative to the objects
_SUBPIXEL_BITS = 4
_LUMA = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True)
class Skin:
    """Look of an object in its own frame, where its outline spans -1 to 1."""

    rings: tuple  # the outline
    texture: str
    frequency: float  # cycles per unit
    phase: tuple  # cycles
    colors: tuple  # two RGB triples in [0, 1]


@dataclass(frozen=True)
class Pose:
    """Center and longer extent in px, angle in radians, ``aspect`` of width to length.

    Over time, each but ``aspect`` is a float64 array ``(frames,)``.
    """

    x: float
    y: float
    size: float
    angle: float
    aspect: float = 1.0

    def at(self, frame):
        return Pose(*(float(v[frame]) for v in (self.x, self.y, self.size, self.angle)))

    def axes(self):
        """(2, 2) array that maps local coordinates to pixels, relative to the center."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return np.array([[cos, -sin * self.aspect], [sin, cos * self.aspect]]) * self.size / 2


@dataclass(frozen=True)
class Instance:
    """An object in a scene; ``label`` indexes ``CLASSES``, or is ``CLUTTER``."""

    label: int
    skin: Skin
    pose: Pose

    def rings(self):
        """Outline in image coordinates, where pixel i covers i to i + 1: list of (n, 2)."""
        axes, center = self.pose.axes().T, (self.pose.x, self.pose.y)
        return [ring @ axes + center for ring in self.skin.rings]


@dataclass(frozen=True)
class Region:
    """``STUFF[stuff]`` beyond a wavy line at ``offset`` (fraction of the image) along ``angle``."""

    stuff: int
    seed: int
    colors: tuple
    scale: float
    angle: float
    offset: float


@dataclass(frozen=True)
class Exposure:
    """Factors of the channels, their slope towards ``angle``, and sigma of blur (px) and noise."""

    tint: tuple = (1.0, 1.0, 1.0)
    slope: float = 0.0
    angle: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Scene:
    """Everything in an image; ``instances`` from back to front."""

    height: int
    width: int
    regions: tuple
    instances: tuple
    exposure: Exposure


def sample_scene(rng, spec, label):
    """Sample a scene with at least one object of class ``label``, from back to front.

    A position that would hide too much of any object is sampled again, a few times; then the object
    is left out.
    """
    height, width = spec.sample_shape(rng)
    regions = sample_regions(rng, spec.size)
    count = int(rng.integers(1, spec.max_objects + 1))
    labels = [label, *rng.integers(0, spec.classes, count - 1).tolist()]
    if rng.random() < spec.clutter:
        labels.insert(int(rng.integers(1, len(labels) + 1)), CLUTTER)
    layout = _Layout(height, width, spec.min_visible)
    for item in labels:
        size = spec.sample_size(rng) * (_CLUTTER_SIZE if item == CLUTTER else 1)
        layout.place(rng, item, sample_skin(rng, spec, item, size), size)
    return Scene(height, width, regions, tuple(layout.instances), sample_exposure(rng, spec))


class _Layout:
    """Placed objects and the visible pixels of each, without antialiasing."""

    def __init__(self, height, width, min_visible):
        self.instances = []
        self._min_visible = min_visible
        self._owner = np.full((height, width), -1, np.int16)
        self._areas = []

    def place(self, rng, label, skin, size):
        """Sample a pose of an object and add it; the first one is never left out."""
        height, width = self._owner.shape
        center = np.array([width, height]) / 2
        reach = center - 0.35 * np.minimum(size, 2 * center)
        for _ in range(_PLACEMENT_TRIES):
            x, y = rng.uniform(center - reach, center + reach)
            if self.instances and rng.random() < _CROWDING:
                other = self.instances[rng.integers(len(self.instances))].pose
                x, y = rng.normal((other.x, other.y), (size + other.size) / 4)
            pose = Pose(x, y, size, rng.uniform(0, 2 * np.pi), rng.uniform(0.8, 1.0))
            if self._add(Instance(label, skin, pose)):
                return
        while not self.instances:
            self._add(Instance(label, skin, Pose(*center, size, pose.angle)))
            size *= 0.8

    def _add(self, instance):
        """Put ``instance`` in front if every object stays visible enough; return whether."""
        rings = instance.rings()
        owner = self._owner.copy()
        owner[silhouette(rings, *owner.shape) > 0] = len(self.instances)
        outer, *holes = (cv2.contourArea(ring.astype(np.float32)) for ring in rings)
        areas = [*self._areas, outer - sum(holes)]
        visible = np.bincount(owner.ravel() + 1, minlength=len(areas) + 1)[1:]
        if (visible < self._min_visible * np.array(areas)).any():
            return False
        self.instances.append(instance)
        self._owner, self._areas = owner, areas
        return True


def silhouette(rings, height, width):
    """Fill rings (even-odd): (height, width) uint8 of 0 and 1, not antialiased."""
    mask = np.zeros((height, width), np.uint8)
    points = [np.round((ring - 0.5) * (1 << _SUBPIXEL_BITS)).astype(np.int32) for ring in rings]
    return cv2.fillPoly(mask, points, 1, shift=_SUBPIXEL_BITS)


def sample_skin(rng, spec, label, size):
    """Look of an object of about ``size`` px: three to five cycles of the pattern, of >= 5 px."""
    clutter = label == CLUTTER
    low, contrast = rng.uniform(0.12, 0.4), rng.uniform(0.22, 0.48)
    saturation, hue = rng.uniform(0.1, 0.85, 2), rng.random(2)
    if clutter:  # one hue, weak contrast
        contrast, hue[1] = contrast / 2, hue[0]
    elif spec.class_colors:
        hue = (label + _HUE_SPREAD * (hue - 0.5)) / spec.classes
        saturation = 0.6 + 0.4 * saturation
    colors = _color(hue[0], saturation[0], low), _color(hue[1], saturation[1], low + contrast)
    return Skin(
        rings=tuple(sample_outline('blob' if clutter else CLASSES[label], rng)),
        texture='mottled' if clutter else list(TEXTURES)[label % 4],
        frequency=float(min(rng.uniform(1.7, 2.5), max(1.2, size / 10))),
        phase=tuple(rng.random(2).tolist()),
        colors=colors if rng.random() < 0.5 else colors[::-1],
    )


def sample_regions(rng, size):
    """One to three background regions, of different stuff."""
    count = rng.choice([1, 2, 3], p=[0.35, 0.45, 0.2])
    kinds = rng.choice(len(STUFF), count, replace=False)
    offsets = np.sort(rng.uniform(-0.3, 0.3, count))
    base_angle = np.pi / 2 + rng.normal(0, 0.35)  # mostly far to near, like a horizon
    regions = []
    for stuff, offset in zip(kinds.tolist(), offsets.tolist(), strict=True):
        low, contrast, hue = rng.uniform(0.2, 0.5), rng.uniform(0.18, 0.34), rng.random()
        colors = (
            _color(hue, rng.uniform(0.05, 0.42), low),
            _color(hue + rng.normal(0, 0.06), rng.uniform(0.02, 0.36), low + contrast),
        )
        seed, scale = int(rng.integers(2**31)), size / 320 * float(np.exp(rng.uniform(-0.3, 0.3)))
        angle = base_angle + rng.normal(0, 0.15)
        regions.append(Region(stuff, seed, colors, scale, angle, offset))
    return tuple(regions)


def sample_exposure(rng, spec):
    """Light and camera of a scene; one image in three is visibly soft."""
    soft = rng.random() < 0.33
    tint = rng.uniform(0.8, 1.15) * (1 + rng.normal(0, 0.04, 3))
    return Exposure(
        tint=tuple(tint.tolist()),
        slope=float(rng.uniform(0, 0.3)),
        angle=float(rng.uniform(0, 2 * np.pi)),
        blur=float(rng.uniform(0.5, 1.3) * spec.size / 320) if soft else 0.0,
        noise=float(rng.uniform(0.004, 0.022)),
        seed=int(rng.integers(2**31)),
    )


def _color(hue, saturation, luma):
    """RGB triple in [0, 1] of this hue and exactly this luma (Rec. 601), paler if it must be."""
    rgb = np.array(colorsys.hsv_to_rgb(hue % 1.0, saturation, 1.0))
    rgb = rgb * (luma / (_LUMA @ rgb))
    if rgb.max() > 1:
        rgb = luma + (rgb - luma) * ((1 - luma) / (rgb.max() - luma))
    return tuple(rgb.tolist())
