"""Classes, options and seeds of a generated set."""

import zlib
from dataclasses import dataclass

import numpy as np

from mmlite.errors import UserError

from .grounds import GROUNDS
from .outlines import CLASSES

STUFF = tuple(GROUNDS)
"""Background classes of the segmentation task."""

CLUTTER = -1
"""Label of irregular lumps that belong to no class: unannotated in COCO, 0 ('other') in ADE20K."""

_SMALLEST_OBJECT = 8  # px; below this neither outline nor texture can be made out

TASKS = ('det', 'cls', 'seg', 'sot', 'got')
SEQUENCE_TASKS = ('sot', 'got')

_SEQUENCES = {'min_size': 0.12, 'max_size': 0.28, 'frames': 60}
_TASK_DEFAULTS = {
    'det': {},
    'cls': {'min_size': 0.45, 'max_size': 0.85, 'max_objects': 1, 'min_visible': 0.7},
    'seg': {'min_size': 0.15, 'max_size': 0.6},
    'sot': _SEQUENCES,
    'got': _SEQUENCES,
}
_FIXED = {'cls': ('max_objects', 'frames'), 'det': ('frames',), 'seg': ('frames',)}


@dataclass(frozen=True)
class SceneSpec:
    """Options of the scene generator.

    Args:
        size: Longer side of an image, px.
        classes: Number of object classes, the first of ``CLASSES``.
        min_size, max_size: Range of an object's longer extent, as a fraction of ``size``;
            log-uniform.
        max_objects: Most objects in an image, or the target and its distractors in a sequence.
        max_aspect: Largest ratio of width to height or of height to width.
        min_visible: Least visible fraction of an object's full extent; not in sequences.
        clutter: Probability of a lump that belongs to no class in an image.
        class_colors: Objects of a class share a hue: an easy set for budgets of minutes.
        frames: Length of a sequence; 1 for images.
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
        _require_range('size', self.size, 32, 4096)
        _require_range('classes', self.classes, 1, len(CLASSES))
        if not 0 < self.min_size <= self.max_size <= 1:
            raise UserError(
                f'min_size..max_size of the generated set is {self.min_size}..{self.max_size}; '
                'it should be a range within 0 (excluded) and 1'
            )
        _require_range('min_size', self.min_size, round(_SMALLEST_OBJECT / self.size, 4), 1)
        _require_range('max_objects', self.max_objects, 1, 50)
        _require_range('max_aspect', self.max_aspect, 1, 4)
        _require_range('min_visible', self.min_visible, 0.1, 0.9)
        _require_range('clutter', self.clutter, 0, 1)
        _require_range('frames', self.frames, 1, 99999)

    @property
    def class_names(self):
        """Names of the object classes, a tuple."""
        return CLASSES[: self.classes]


def _require_range(name, value, low, high):
    if not low <= value <= high:
        raise UserError(
            f'{name} of the generated set is {value}; it should be between {low} and {high}'
        )


def task_spec(task, **overrides):
    """SceneSpec of ``task`` (one of ``TASKS``): its defaults and ``overrides``.

    ``max_objects`` is always 1 for classification and ``frames`` always 1 for images.
    """
    if task not in TASKS:
        raise UserError(f"unknown task '{task}'; it should be one of {', '.join(TASKS)}")
    used = {k: v for k, v in overrides.items() if k not in _FIXED.get(task, ())}
    return SceneSpec(**{**_TASK_DEFAULTS[task], **used})


def item_rng(seed, task, split, index, purpose=''):
    """Random generator of item ``index`` of a split: a function of these values alone."""
    key = zlib.crc32(f'{task}/{split}/{purpose}'.encode())
    return np.random.default_rng([seed, key, index])


def balanced_label(seed, task, split, index, classes, purpose='label'):
    """Class of item ``index``: every block of ``classes`` items holds each class once."""
    order = item_rng(seed, task, split, index // classes, purpose).permutation(classes)
    return int(order[index % classes])
