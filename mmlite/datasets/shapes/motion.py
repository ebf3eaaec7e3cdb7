"""Sequences for tracking: a target among moving distractors, hidden at times, leaving at times."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from .render import paint_ground, render
from .scene import (
    Instance,
    Pose,
    Scene,
    sample_camera,
    sample_light,
    sample_regions,
    sample_shape,
    sample_size,
    sample_skin,
)
from .spec import CLUTTER

ABSENT_BELOW = 0.02
"""A target is absent where less than this fraction of its full extent is visible."""

_PAN = 0.1  # reach of the camera's pan, of the picture's size
_OCCLUDED_OFTEN, _LEAVES_OFTEN = 0.8, 0.5  # chance that a sequence has the event
_SHORTEST_EVENTFUL = 12  # frames


@dataclass(frozen=True)
class Path:
    """Poses of one object: float64 arrays ``(frames,)`` (see ``Pose``)."""

    x: np.ndarray
    y: np.ndarray
    size: np.ndarray
    angle: np.ndarray

    def pose(self, frame):
        return Pose(*(float(v[frame]) for v in (self.x, self.y, self.size, self.angle)))


@dataclass(frozen=True)
class Sequence:
    """A moving scene. ``scene`` holds what stays, with the objects as they are in frame 0.

    ``target`` indexes ``scene.instances`` and ``paths``; ``pan`` is the camera's shift of the
    background in px, ``(frames, 2)``; ``brightness`` a factor, ``(frames,)``.
    """

    scene: Scene
    target: int
    paths: tuple
    pan: np.ndarray
    brightness: np.ndarray

    def __len__(self):
        return len(self.brightness)

    def at(self, frame):
        """Scene: frame ``frame``, but for the shift of the background."""
        scene = self.scene
        instances = tuple(
            replace(instance, pose=path.pose(frame))
            for instance, path in zip(scene.instances, self.paths, strict=True)
        )
        tint = tuple(value * float(self.brightness[frame]) for value in scene.light.tint)
        light = replace(scene.light, tint=tint)
        camera = replace(scene.camera, seed=scene.camera.seed + frame)
        return replace(scene, instances=instances, light=light, camera=camera)

    def frames(self):
        """Yield ``(Picture, TargetState)`` of every frame in order."""
        scene = self.scene
        margin = int(np.ceil(_PAN * max(scene.height, scene.width))) + 1
        ground = paint_ground(scene.regions, scene.height + 2 * margin, scene.width + 2 * margin)
        for frame in range(len(self)):
            now = self.at(frame)
            picture = render(now, _crop(ground, self.pan[frame] + margin, now))
            yield picture, target_state(picture, now, self.target)


@dataclass(frozen=True)
class TargetState:
    """What is known of the target in one frame.

    Attributes:
        box: ``x1, y1, x2, y2`` in px, the full (amodal) extent of the target clipped to the
            picture, also where other objects hide it; None where it is out of view.
        inside: fraction of its full extent (pixels) within the picture.
        visible: fraction of its full extent (pixels) that can be seen.
    """

    box: tuple
    inside: float
    visible: float

    @property
    def out_of_view(self):
        return self.inside < ABSENT_BELOW

    @property
    def absent(self):
        return self.visible < ABSENT_BELOW

    @property
    def fully_occluded(self):
        return self.absent and not self.out_of_view

    @property
    def cut(self):
        """Whether the picture's border cuts the target."""
        return self.inside < 1 and not self.out_of_view


def target_state(picture, scene, target):
    """TargetState of object ``target`` in a rendered scene."""
    full = picture.amodal[target]
    inside = picture.inside[target] / full
    visible = int(picture.mask(target).sum()) / full
    x1, y1, x2, y2 = scene.instances[target].extent()
    box = (
        max(x1, 0.0),
        max(y1, 0.0),
        min(x2, float(scene.width)),
        min(y2, float(scene.height)),
    )
    return TargetState(None if inside < ABSENT_BELOW else box, inside, visible)


def sample_sequence(rng, spec, label):
    """A sequence of ``spec.frames`` frames whose target is of class ``label``.

    The target is in full view in frame 0. Of the distractors one is of its class, and some pass in
    front. Most sequences have an occluder that crosses the target, half of them let it leave the
    view, partly or wholly, and return; sequences of fewer than 12 frames have neither.
    """
    height, width = sample_shape(rng, spec)
    frames = spec.frames
    size = sample_size(rng, spec)
    target = _wandering(rng, frames, height, width, size)
    hide_at, leave_at = rng.permuted(frames * rng.uniform((0.3, 0.65), (0.45, 0.8)))
    eventful = frames >= _SHORTEST_EVENTFUL
    if eventful and rng.random() < _LEAVES_OFTEN:
        target = _leaving(rng, target, leave_at, height, width)
    actors = [(label, target)]
    front, back = [], []
    for number in range(int(rng.integers(1, max(2, spec.max_objects)))):
        kind = label if number == 0 else int(rng.integers(0, spec.classes))
        path = _wandering(rng, frames, height, width, sample_size(rng, spec))
        before = rng.random() < 0.3 and not _touching(path, target)
        (front if before else back).append((kind, path))
    if eventful and rng.random() < _OCCLUDED_OFTEN:
        kind = CLUTTER if rng.random() < 0.5 else int(rng.integers(0, spec.classes))
        front.append((kind, _crossing(rng, target, hide_at)))
    actors = back + actors + front
    scene = Scene(
        height=height,
        width=width,
        regions=sample_regions(rng, spec.size),
        instances=tuple(
            Instance(kind, sample_skin(rng, spec, kind, float(path.size.mean())), path.pose(0))
            for kind, path in actors
        ),
        light=sample_light(rng),
        camera=sample_camera(rng, spec),
    )
    pan = np.stack([_wave(rng, frames, 60), _wave(rng, frames, 60)], axis=1)
    return Sequence(
        scene=scene,
        target=len(back),
        paths=tuple(path for _, path in actors),
        pan=pan * _PAN * spec.size * rng.uniform(0, 1),
        brightness=1 + 0.1 * _wave(rng, frames, 40),
    )


def _wave(rng, frames, period):
    """Smooth random values in [-1, 1], ``(frames,)``: three sines of ``period`` frames or more."""
    lengths = period * rng.uniform(1, 3, (3, 1))
    weights = rng.dirichlet(np.ones(3))[:, None]
    phases = rng.uniform(0, 2 * np.pi, (3, 1))
    return (weights * np.sin(2 * np.pi * np.arange(frames) / lengths + phases)).sum(axis=0)


def _wandering(rng, frames, height, width, size):
    """Smooth motion, change of scale and turning that keep the centre well inside the picture."""
    sizes = size * np.exp(0.35 * _wave(rng, frames, 50))
    reach = np.maximum(np.array([width, height]) / 2 - 0.75 * size, 0)
    centre = np.array([width, height]) / 2
    turn = rng.uniform(0, 2 * np.pi) + np.pi * rng.uniform(0, 1) * _wave(rng, frames, 60)
    return Path(
        x=centre[0] + reach[0] * _wave(rng, frames, 80),
        y=centre[1] + reach[1] * _wave(rng, frames, 80),
        size=sizes,
        angle=turn + rng.normal(0, 0.01) * np.arange(frames),
    )


def _leaving(rng, path, time, height, width):
    """The same path with an excursion to the nearest border, past it or half past it."""
    frames = len(path.x)
    now = min(round(time), frames - 1)
    x, y, size = path.x[now], path.y[now], path.size[now]
    past = 0.8 * size if rng.random() < 0.6 else 0.0
    ways = [(-x - past, 0), (width - x + past, 0), (0, -y - past), (0, height - y + past)]
    dx, dy = min(ways, key=lambda way: abs(way[0]) + abs(way[1]))
    ramp, hold = np.clip(frames / 5, 3, 16), rng.uniform(1, 8)
    progress = np.clip((ramp + hold / 2 - np.abs(np.arange(frames) - time)) / ramp, 0, 1)
    bump = 0.5 - 0.5 * np.cos(np.pi * progress)
    return replace(path, x=path.x + bump * dx, y=path.y + bump * dy)


def _crossing(rng, target, time):
    """Straight path of an occluder whose centre meets the target's at about ``time``."""
    frames = len(target.x)
    now = min(round(time), frames - 1)
    size = target.size[now] * rng.uniform(0.7, 2.0)
    duration = np.clip(frames / 5, 3, 18)
    direction = rng.uniform(0, 2 * np.pi)
    travel = (size + target.size[now]) * (np.arange(frames) - time) / duration
    miss = rng.normal(0, 0.08, 2) * target.size[now]
    return Path(
        x=target.x[now] + miss[0] + np.cos(direction) * travel,
        y=target.y[now] + miss[1] + np.sin(direction) * travel,
        size=np.full(frames, size),
        angle=rng.uniform(0, 2 * np.pi) + rng.normal(0, 0.02) * np.arange(frames),
    )


def _touching(path, target):
    """Whether two objects may overlap in frame 0."""
    distance = np.hypot(path.x[0] - target.x[0], path.y[0] - target.y[0])
    return distance < 0.75 * (path.size[0] + target.size[0])


def _crop(ground, offset, scene):
    """Part of a larger background at ``offset`` (x, y; fractions interpolate)."""
    colors, stuff = ground
    shift = np.array([[1, 0, offset[0]], [0, 1, offset[1]]])
    shape = (scene.width, scene.height)
    flags = cv2.WARP_INVERSE_MAP
    return (
        cv2.warpAffine(colors, shift, shape, flags=flags | cv2.INTER_LINEAR),
        cv2.warpAffine(stuff, shift, shape, flags=flags | cv2.INTER_NEAREST),
    )
