"""A scene as plain data, and how its parts and layout are drawn at random."""

import colorsys
from dataclasses import dataclass

import cv2
import numpy as np

from .outlines import sample_outline
from .spec import CLASS_TEXTURES, CLUTTER, STUFF

_PLACEMENT_TRIES = 12
_HUE_SPREAD = 0.4  # of the way to the next class's hue, where colour tells the class
_CROWDING = 0.3  # chance to be put next to an object
_CLUTTER_SIZE = 0.6  # relative to the objects
_SUBPIXEL_BITS = 4
_LUMA = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True)
class Skin:
    """Look of an object in its own frame, where its outline spans -1 to 1.

    ``rings`` is the outline (see ``outlines``), ``frequency`` in cycles per unit, ``phase`` in
    cycles, ``turn`` the angle of the texture in radians, ``colors`` two RGB triples in [0, 1].
    """

    rings: tuple
    texture: str
    frequency: float
    phase: tuple
    turn: float
    seed: int
    colors: tuple


@dataclass(frozen=True)
class Pose:
    """Where an object is: centre and longer extent in px, angle in radians, ``aspect`` of the
    extent across to the extent along.
    """

    x: float
    y: float
    size: float
    angle: float
    aspect: float = 1.0

    def axes(self):
        """(2, 2) array that maps local coordinates to pixels, relative to the centre."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        half = self.size / 2
        return np.array([[cos, -sin * self.aspect], [sin, cos * self.aspect]]) * half


@dataclass(frozen=True)
class Instance:
    """An object in a scene; ``label`` indexes ``CLASSES``, or is ``CLUTTER``."""

    label: int
    skin: Skin
    pose: Pose

    def rings(self):
        """Outline in picture coordinates, where pixel i covers i to i + 1: list of (n, 2)."""
        axes, centre = self.pose.axes().T, (self.pose.x, self.pose.y)
        return [ring @ axes + centre for ring in self.skin.rings]

    def extent(self):
        """Amodal box ``x1, y1, x2, y2`` in px, whether inside the picture or not."""
        outer = self.rings()[0]
        return (*outer.min(axis=0).tolist(), *outer.max(axis=0).tolist())


@dataclass(frozen=True)
class Region:
    """A part of the background: ``stuff`` indexes ``STUFF``.

    It lies beyond a wavy line at ``offset`` (fraction of the picture from its centre) in the
    direction ``angle``, over the regions before it; ``scale`` is the size of the texture.
    """

    stuff: int
    seed: int
    colors: tuple
    scale: float
    angle: float
    offset: float


@dataclass(frozen=True)
class Light:
    """Direction of light (radians, x right, y down), and its effects as fractions of 1."""

    angle: float
    slope: float
    vignette: float
    shadow: float
    relief: float
    tint: tuple


@dataclass(frozen=True)
class Camera:
    """Blur (standard deviation, px), sensor noise (standard deviation, of 1) and its seed."""

    blur: float
    noise: float
    seed: int


@dataclass(frozen=True)
class Scene:
    """Everything in a picture; ``instances`` from back to front."""

    height: int
    width: int
    regions: tuple
    instances: tuple
    light: Light
    camera: Camera


def sample_scene(rng, spec, label):
    """A scene after ``spec`` with at least one object, the first-drawn one of class ``label``.

    Objects are placed in painter's order. A place that would leave any object with less than
    ``spec.min_visible`` of its full extent in sight is drawn again, a few times; then the object
    is left out. So every object in a picture is visible enough to be annotated. (The layout knows
    no antialiasing: of very small objects it may leave a little less.)
    """
    height, width = sample_shape(rng, spec)
    regions = sample_regions(rng, spec.size)
    count = int(rng.integers(1, spec.max_objects + 1))
    labels = [label, *rng.integers(0, spec.classes, count - 1).tolist()]
    if rng.random() < spec.clutter:
        labels.insert(int(rng.integers(0, len(labels) + 1)), CLUTTER)
    layout = Layout(height, width, spec.min_visible)
    for item in labels:
        _place(rng, spec, layout, item)
    if not any(instance.label == label for instance in layout.instances):
        layout = Layout(height, width, spec.min_visible)
        _place_in_centre(rng, spec, layout, label)
    return Scene(
        height, width, regions, tuple(layout.instances), sample_light(rng), sample_camera(rng, spec)
    )


def _place(rng, spec, layout, label):
    size = sample_size(rng, spec) * (_CLUTTER_SIZE if label == CLUTTER else 1)
    skin = sample_skin(rng, spec, label, size)
    margin = 0.35 * np.minimum(size, (layout.width, layout.height))
    for _ in range(_PLACEMENT_TRIES):
        x, y = rng.uniform(margin, (layout.width, layout.height) - margin)
        if layout.instances and rng.random() < _CROWDING:
            other = layout.instances[rng.integers(len(layout.instances))].pose
            x, y = rng.normal((other.x, other.y), (size + other.size) / 4)
        pose = Pose(x, y, size, rng.uniform(0, 2 * np.pi), rng.uniform(0.8, 1.0))
        if layout.add(Instance(label, skin, pose)):
            return


def _place_in_centre(rng, spec, layout, label):
    """Put an object in the middle of an empty layout, smaller until it shows enough of itself."""
    size = sample_size(rng, spec)
    skin = sample_skin(rng, spec, label, size)
    angle = rng.uniform(0, 2 * np.pi)
    while not layout.add(
        Instance(label, skin, Pose(layout.width / 2, layout.height / 2, size, angle))
    ):
        size *= 0.8


class Layout:
    """Placed objects and what each of them shows, at full resolution and without antialiasing."""

    def __init__(self, height, width, min_visible):
        self.height, self.width = height, width
        self.instances = []
        self._min_visible = min_visible
        self._owner = np.full((height, width), -1, np.int16)
        self._areas = []

    def add(self, instance):
        """Put ``instance`` in front, if every object stays visible enough; tell whether."""
        rings = instance.rings()
        mask = silhouette(rings, self.height, self.width).view(bool)
        areas = np.array([*self._areas, polygon_area(rings)])
        owner = self._owner.copy()
        owner[mask] = len(self.instances)
        visible = np.bincount(owner.ravel() + 1, minlength=len(areas) + 1)[1:]
        if (visible < self._min_visible * areas).any():
            return False
        self.instances.append(instance)
        self._owner, self._areas = owner, areas.tolist()
        return True


def silhouette(rings, height, width):
    """(height, width) uint8 of 0 and 1: pixels covered by the rings (even-odd), not antialiased."""
    mask = np.zeros((height, width), np.uint8)
    points = [np.round((ring - 0.5) * (1 << _SUBPIXEL_BITS)).astype(np.int32) for ring in rings]
    return cv2.fillPoly(mask, points, 1, shift=_SUBPIXEL_BITS)


def polygon_area(rings):
    """Area of the outer ring less the holes, px."""
    areas = []
    for ring in rings:
        x, y = ring[:, 0], ring[:, 1]
        areas.append(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)
    return areas[0] - sum(areas[1:])


def sample_shape(rng, spec):
    """Height and width of a picture, px; the longer side is ``spec.size``."""
    ratio = spec.max_aspect ** rng.uniform(-1, 1)
    width, height = min(1, ratio) * spec.size, min(1, 1 / ratio) * spec.size
    return max(1, round(height)), max(1, round(width))


def sample_size(rng, spec):
    """Longer extent of an object, px."""
    low, high = np.log(spec.min_size), np.log(spec.max_size)
    return float(np.exp(rng.uniform(low, high)) * spec.size)


def sample_skin(rng, spec, label, size):
    """Look of an object of class ``label`` (or ``CLUTTER``) of about ``size`` px.

    The pattern repeats three to five times over the object, fewer where a cycle would get
    smaller than about 5 px. With ``spec.class_colors`` both colours lie close to the hue of the
    class and are never pale.
    """
    clutter = label == CLUTTER
    name = 'blob' if clutter else list(CLASS_TEXTURES)[label]
    low, contrast = rng.uniform(0.12, 0.4), rng.uniform(0.22, 0.48)
    if clutter:
        contrast *= 0.5
    saturation = rng.uniform(0.1, 0.85, 2)
    hue = rng.random(2)
    if spec.class_colors and not clutter:
        hue = (label + _HUE_SPREAD * (hue - 0.5)) / spec.classes
        saturation = 0.6 + 0.4 * saturation
    colors = (
        _color(hue[0], saturation[0], low),
        _color(hue[0 if clutter else 1], saturation[1], low + contrast),
    )
    return Skin(
        rings=tuple(sample_outline(name, rng)),
        texture='mottled' if clutter else CLASS_TEXTURES[name],
        frequency=float(min(rng.uniform(1.7, 2.5), max(1.2, size / 10))),
        phase=tuple(rng.random(2).tolist()),
        turn=float(rng.uniform(0, 2 * np.pi)),
        seed=int(rng.integers(2**31)),
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
        low, contrast = rng.uniform(0.2, 0.5), rng.uniform(0.18, 0.34)
        hue = rng.random()
        regions.append(
            Region(
                stuff=stuff,
                seed=int(rng.integers(2**31)),
                colors=(
                    _color(hue, rng.uniform(0.05, 0.42), low),
                    _color(hue + rng.normal(0, 0.06), rng.uniform(0.02, 0.36), low + contrast),
                ),
                scale=float(size / 320 * np.exp(rng.uniform(-0.3, 0.3))),
                angle=float(base_angle + rng.normal(0, 0.15)),
                offset=offset,
            )
        )
    return tuple(regions)


def sample_light(rng):
    """Direction and strength of the light of a scene."""
    return Light(
        angle=float(rng.uniform(0, 2 * np.pi)),
        slope=float(rng.uniform(0, 0.3)),
        vignette=float(rng.uniform(0, 0.25)),
        shadow=float(rng.uniform(0.25, 0.6)),
        relief=float(rng.uniform(0.1, 0.35)),
        tint=tuple((rng.uniform(0.8, 1.15) * (1 + rng.normal(0, 0.04, 3))).tolist()),
    )


def sample_camera(rng, spec):
    """Blur and noise; one picture in three is visibly soft."""
    soft = rng.random() < 0.33
    return Camera(
        blur=float(rng.uniform(0.5, 1.3) * spec.size / 320) if soft else 0.0,
        noise=float(rng.uniform(0.004, 0.022)),
        seed=int(rng.integers(2**31)),
    )


def _color(hue, saturation, luma):
    """RGB triple in [0, 1] of this hue, of exactly this luma (Rec. 601), paler if it must be."""
    rgb = np.array(colorsys.hsv_to_rgb(hue % 1.0, saturation, 1.0))
    rgb = rgb * (luma / (_LUMA @ rgb))
    if rgb.max() > 1:
        rgb = luma + (rgb - luma) * ((1 - luma) / (rgb.max() - luma))
    return tuple(rgb.tolist())
