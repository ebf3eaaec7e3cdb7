"""What a generated set is made of: the classes, the options and the seeds."""

import zlib
from dataclasses import dataclass

import numpy as np

from mmlite.errors import UserError

from .grounds import GROUNDS

CLASS_TEXTURES = {
    'disc': 'stripes',
    'square': 'dots',
    'triangle': 'checks',
    'star': 'rings',
    'cross': 'zigzag',
    'ring': 'rays',
    'heart': 'spots',
    'crescent': 'lattice',
    'hexagon': 'triangles',
    'arrow': 'gradient',
    'flower': 'spiral',
    'leaf': 'scales',
    'gear': 'honeycomb',
    'drop': 'speckle',
    'bolt': 'plaid',
    'house': 'weave',
}
"""Object class (also the name of its outline family) -> its texture family. Colour is no cue."""

CLASSES = tuple(CLASS_TEXTURES)
"""All object classes; a set with ``classes=N`` uses the first N."""

STUFF = tuple(GROUNDS)
"""Background classes of the segmentation task."""

CLUTTER = -1
"""Label of irregular lumps that belong to no class: unannotated in COCO, 0 ('other') in ADE20K."""

_SMALLEST_OBJECT = 8  # px; below this neither outline nor texture can be made out

TASKS = ('det', 'cls', 'seg', 'sot', 'got')
SEQUENCE_TASKS = ('sot', 'got')

_TASK_DEFAULTS = {
    'det': {},
    'cls': {'min_size': 0.45, 'max_size': 0.85, 'max_objects': 1, 'min_visible': 0.7},
    'seg': {'min_size': 0.15, 'max_size': 0.6},
    'sot': {'min_size': 0.12, 'max_size': 0.28, 'frames': 60},
    'got': {'min_size': 0.12, 'max_size': 0.28, 'frames': 60},
}
_FIXED = {'cls': ('max_objects', 'frames'), 'det': ('frames',), 'seg': ('frames',)}


@dataclass(frozen=True)
class SceneSpec:
    """Options of the scene generator.

    Args:
        size: longer side of a picture, px.
        classes: number of object classes, the first of ``CLASSES``.
        min_size, max_size: range of an object's longer extent, as a fraction of ``size``; drawn
            log-uniformly.
        max_objects: most objects in a picture; their number is uniform from 1. In a sequence: the
            target and its distractors.
        max_aspect: pictures are square for 1; above, width / height is drawn between
            ``1 / max_aspect`` and ``max_aspect``.
        min_visible: least fraction of an object's full extent that stays visible, inside the
            picture and not behind other objects; in sequences objects may vanish.
        clutter: chance of a lump that belongs to no class in a picture.
        class_colors: objects of a class share a hue. Colour alone then tells the class: an easy
            set for budgets of minutes. Off, colour is no cue.
        frames: length of a sequence; 1 for pictures.

    Raises:
        UserError: a value is outside its range.
    """

    size: int = 320
    classes: int = 12
    min_size: float = 0.1
    max_size: float = 0.5
    max_objects: int = 6
    max_aspect: float = 1.0
    min_visible: float = 0.4
    clutter: float = 0.3
    class_colors: bool = False
    frames: int = 1

    def __post_init__(self):
        _require(32 <= self.size <= 4096, 'size', self.size, 'between 32 and 4096 px')
        ok = 1 <= self.classes <= len(CLASSES)
        _require(ok, 'classes', self.classes, f'between 1 and {len(CLASSES)}')
        ok = 0 < self.min_size <= self.max_size <= 1
        span = f'{self.min_size}..{self.max_size}'
        _require(ok, 'min_size..max_size', span, 'a range within 0 (excluded) and 1')
        ok = self.min_size * self.size >= _SMALLEST_OBJECT
        least = f'at least {_SMALLEST_OBJECT / self.size:.3f} for objects of {_SMALLEST_OBJECT} px'
        _require(ok, 'min_size', self.min_size, f'{least} in pictures of {self.size} px')
        _require(1 <= self.max_objects <= 50, 'max_objects', self.max_objects, 'between 1 and 50')
        _require(1 <= self.max_aspect <= 4, 'max_aspect', self.max_aspect, 'between 1 and 4')
        _require(0.1 <= self.min_visible <= 0.9, 'min_visible', self.min_visible, 'in 0.1..0.9')
        _require(0 <= self.clutter <= 1, 'clutter', self.clutter, 'a probability')
        _require(1 <= self.frames <= 99999, 'frames', self.frames, 'between 1 and 99999')

    @property
    def class_names(self):
        """tuple[str]: the object classes of this set."""
        return CLASSES[: self.classes]


def _require(ok, name, value, right):
    if not ok:
        raise UserError(f'{name} of the generated set is {value}; it should be {right}.')


def task_spec(task, **overrides):
    """The options of ``task`` (one of ``TASKS``), with the given ones in place of the defaults.

    ``max_objects`` is always 1 for classification and ``frames`` always 1 for pictures: such
    overrides are meant for other tasks made in the same run and have no effect here.

    Raises:
        UserError: an unknown task or a value outside its range.
    """
    if task not in TASKS:
        raise UserError(f"There is no task '{task}'; it should be one of {', '.join(TASKS)}.")
    used = {k: v for k, v in overrides.items() if k not in _FIXED.get(task, ())}
    return SceneSpec(**{**_TASK_DEFAULTS[task], **used})


def item_rng(seed, task, split, index, purpose=''):
    """Generator of item ``index`` of a split: a function of these values and of nothing else."""
    key = zlib.crc32(f'{task}/{split}/{purpose}'.encode())
    return np.random.default_rng([seed, key, index])


def balanced_label(seed, task, split, index, classes, purpose='label'):
    """Class of item ``index``: every block of ``classes`` items holds each class once."""
    order = item_rng(seed, task, split, index // classes, purpose).permutation(classes)
    return int(order[index % classes])
