"""Sequences for tracking: a target among moving distractors, hidden at times, leaving at times."""

from dataclasses import dataclass, replace

import numpy as np

from .render import paint_ground, render
from .scene import Instance, Pose, Scene, sample_exposure, sample_regions, sample_skin
from .spec import CLUTTER

ABSENT_BELOW = 0.02
"""A target is absent where less than this fraction of its full extent is visible."""

_PAN = 0.1  # reach of the camera's pan, as a fraction of the image's size
_OCCLUDED_OFTEN, _LEAVES_OFTEN = 0.8, 0.5  # probability that a sequence has the event
_SHORTEST_EVENTFUL = 12  # frames


@dataclass(frozen=True)
class TargetState:
    """State of the target in one frame."""

    box: tuple | None  # x1, y1, x2, y2 of its full (amodal) extent within the image, in px
    inside: float  # fraction of its pixels within the image
    visible: float  # fraction of its pixels that are not hidden

    out_of_view = property(lambda self: self.inside < ABSENT_BELOW)
    absent = property(lambda self: self.visible < ABSENT_BELOW)
    fully_occluded = property(lambda self: self.absent and not self.out_of_view)
    cut = property(lambda self: self.inside < 1 and not self.out_of_view)


@dataclass(frozen=True)
class Sequence:
    """A scene with poses over time; ``target`` indexes ``scene.instances``.

    ``pan`` (frames, 2) is the shift of the background in px, ``brightness`` (frames,) a factor.
    """

    scene: Scene
    target: int
    pan: np.ndarray
    brightness: np.ndarray

    def __len__(self):
        return len(self.brightness)

    def at(self, frame):
        """Scene of a frame, without the shift of the background."""
        scene = self.scene
        instances = tuple(replace(item, pose=item.pose.at(frame)) for item in scene.instances)
        tint = tuple(value * float(self.brightness[frame]) for value in scene.exposure.tint)
        exposure = replace(scene.exposure, tint=tint, seed=scene.exposure.seed + frame)
        return replace(scene, instances=instances, exposure=exposure)

    def frames(self, numbers=None):
        """Yield ``(Rendering, TargetState)`` of frames, by default of all in order."""
        height, width = self.scene.height, self.scene.width
        margin = int(_PAN * max(height, width)) + 1
        ground = paint_ground(self.scene.regions, height + 2 * margin, width + 2 * margin)
        for frame in range(len(self)) if numbers is None else numbers:
            x, y = self.pan[frame] + margin
            scene = self.at(frame)
            rendering = render(scene, [part[y : y + height, x : x + width] for part in ground])
            full = rendering.amodal[self.target]
            inside = rendering.inside[self.target] / full
            outer = scene.instances[self.target].rings()[0].clip(0, (width, height))
            box = (*outer.min(axis=0).tolist(), *outer.max(axis=0).tolist())
            visible = int(rendering.mask(self.target).sum()) / full
            yield rendering, TargetState(None if inside < ABSENT_BELOW else box, inside, visible)


def sample_sequence(rng, spec, label):
    """Sample a sequence whose target, in full view in frame 0, is of class ``label``.

    One distractor is of its class, and some pass in front. Of sequences of 12 or more frames, most
    have an occluder that crosses the target, and in half of them it leaves the view and returns.
    """
    height, width = spec.sample_shape(rng)
    frames = spec.frames
    target = _wandering(rng, frames, height, width, spec.sample_size(rng))
    hide_at, leave_at = rng.permuted(frames * rng.uniform((0.3, 0.65), (0.45, 0.8)))
    eventful = frames >= _SHORTEST_EVENTFUL
    if eventful and rng.random() < _LEAVES_OFTEN:
        target = _leaving(rng, target, leave_at, height, width)
    front, back = [], []
    for number in range(int(rng.integers(1, max(2, spec.max_objects)))):
        kind = label if number == 0 else int(rng.integers(0, spec.classes))
        path = _wandering(rng, frames, height, width, spec.sample_size(rng))
        distance = np.hypot(path.x[0] - target.x[0], path.y[0] - target.y[0])
        apart = distance > 0.75 * (path.size[0] + target.size[0])
        (front if apart and rng.random() < 0.3 else back).append((kind, path))
    if eventful and rng.random() < _OCCLUDED_OFTEN:
        kind = CLUTTER if rng.random() < 0.5 else int(rng.integers(0, spec.classes))
        front.append((kind, _crossing(rng, target, hide_at)))
    instances = tuple(
        Instance(kind, sample_skin(rng, spec, kind, float(path.size.mean())), path)
        for kind, path in (*back, (label, target), *front)
    )
    regions, exposure = sample_regions(rng, spec.size), sample_exposure(rng, spec)
    pan = np.stack([_wave(rng, frames, 60), _wave(rng, frames, 60)], axis=1)
    pan *= _PAN * min(height, width) * rng.uniform(0, 1)
    return Sequence(
        scene=Scene(height, width, regions, instances, exposure),
        target=len(back),
        pan=pan.round().astype(int),
        brightness=1 + 0.1 * _wave(rng, frames, 40),
    )


def _wave(rng, frames, period):
    """Sum of three sines of at least ``period`` frames, in [-1, 1], ``(frames,)``."""
    lengths = period * rng.uniform(1, 3, (3, 1))
    weights = rng.dirichlet(np.ones(3))[:, None]
    phases = rng.uniform(0, 2 * np.pi, (3, 1))
    return (weights * np.sin(2 * np.pi * np.arange(frames) / lengths + phases)).sum(axis=0)


def _wandering(rng, frames, height, width, size):
    """Smooth motion, change of scale and turning that keep the center well inside the image."""
    center = np.array([width, height]) / 2
    reach = np.maximum(center - 0.75 * size, 0)
    turn = rng.uniform(0, 2 * np.pi) + np.pi * rng.uniform(0, 1) * _wave(rng, frames, 60)
    return Pose(
        x=center[0] + reach[0] * _wave(rng, frames, 80),
        y=center[1] + reach[1] * _wave(rng, frames, 80),
        size=size * np.exp(0.35 * _wave(rng, frames, 50)),
        angle=turn + rng.normal(0, 0.01) * np.arange(frames),
    )


def _leaving(rng, path, time, height, width):
    """The same path with an excursion to the nearest border, past it or half past it."""
    frames = len(path.x)
    here = path.at(min(round(time), frames - 1))
    past = 0.8 * here.size if rng.random() < 0.6 else 0.0
    across = [(-here.x - past, 0), (width - here.x + past, 0)]
    ways = [*across, (0, -here.y - past), (0, height - here.y + past)]
    dx, dy = min(ways, key=lambda way: abs(way[0]) + abs(way[1]))
    ramp, hold = np.clip(frames / 5, 3, 16), rng.uniform(1, 8)
    progress = np.clip((ramp + hold / 2 - np.abs(np.arange(frames) - time)) / ramp, 0, 1)
    bump = 0.5 - 0.5 * np.cos(np.pi * progress)
    return replace(path, x=path.x + bump * dx, y=path.y + bump * dy)


def _crossing(rng, target, time):
    """Straight path of an occluder whose center meets the target's at about ``time``."""
    frames = len(target.x)
    here = target.at(min(round(time), frames - 1))
    size = here.size * rng.uniform(0.7, 2.0)
    direction = rng.uniform(0, 2 * np.pi)
    travel = (np.arange(frames) - time) / np.clip(frames / 5, 3, 18) * (size + here.size)
    miss = rng.normal(0, 0.08, 2) * here.size
    return Pose(
        x=here.x + miss[0] + np.cos(direction) * travel,
        y=here.y + miss[1] + np.sin(direction) * travel,
        size=np.full(frames, size),
        angle=rng.uniform(0, 2 * np.pi) + rng.normal(0, 0.02) * np.arange(frames),
    )
