"""Tasks, classes and options of the generated sets."""

from dataclasses import dataclass

import numpy as np

from mmlite.errors import UserError
from mmlite.utils.names import check_known

from .outlines import CLASSES
from .textures import GROUNDS

STUFF = tuple(GROUNDS)
"""Background classes of the segmentation task."""

CLUTTER = -1
"""Label of irregular lumps that belong to no class: unannotated in COCO, 0 ('other') in ADE20K."""

SEQUENCE_TASKS = ('sot', 'got')
_DEFAULTS = {
    'det': {},
    'cls': {'min_size': 0.45, 'max_size': 0.85, 'min_visible': 0.7},
    'seg': {'min_size': 0.15, 'max_size': 0.6},
    **dict.fromkeys(SEQUENCE_TASKS, {'min_size': 0.12, 'max_size': 0.28, 'frames': 60}),
}
TASKS = tuple(_DEFAULTS)

_SMALLEST_OBJECT = 8  # px; below this neither outline nor texture can be made out
_RANGES = {
    'size': (32, 4096),
    'classes': (1, len(CLASSES)),
    'max_objects': (1, 50),
    'max_aspect': (1, 4),
    'min_visible': (0.1, 0.9),
    'clutter': (0, 1),
    'frames': (1, 99999),
}


@dataclass(frozen=True)
class SceneSpec:
    """Options of the scene generator."""

    size: int = 320  # longer side of an image, px
    classes: int = 12  # number of object classes, the first of CLASSES
    min_size: float = 0.1  # longer extent of an object as a fraction of size, log-uniform
    max_size: float = 0.5
    max_objects: int = 6  # in an image; in a sequence, the target and its distractors
    max_aspect: float = 1.0  # largest ratio of width to height or of height to width
    min_visible: float = 0.4  # least visible fraction of an object's full extent; in images
    clutter: float = 0.3  # probability of a lump that belongs to no class; in images
    class_colors: bool = False  # a class has a hue: an easy set for budgets of minutes
    frames: int = 1  # length of a sequence; 1 for images

    def __post_init__(self):
        if not 0 < self.min_size <= self.max_size <= 1:
            raise UserError(
                f'min_size..max_size of the generated set is {self.min_size}..{self.max_size}; '
                'it should be a range within 0 (excluded) and 1'
            )
        least = round(_SMALLEST_OBJECT / max(self.size, 1), 4)
        for name, (low, high) in {**_RANGES, 'min_size': (least, 1)}.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise UserError(
                    f'{name} of the generated set is {value}; it should be between {low} and {high}'
                )

    @property
    def class_names(self):
        return CLASSES[: self.classes]

    def sample_shape(self, rng):
        """Height and width of an image, px; the longer side is ``size``."""
        ratio = self.max_aspect ** rng.uniform(-1, 1)
        return round(min(1, 1 / ratio) * self.size), round(min(1, ratio) * self.size)

    def sample_size(self, rng):
        """Longer extent of an object, px."""
        low, high = np.log(self.min_size), np.log(self.max_size)
        return float(np.exp(rng.uniform(low, high)) * self.size)


def task_spec(task, **overrides):
    """SceneSpec of one of :data:`TASKS`: its defaults and ``overrides``."""
    check_known('task', task, TASKS)
    fixed = {'max_objects': 1} if task == 'cls' else {}
    if task not in SEQUENCE_TASKS:
        fixed['frames'] = 1
    return SceneSpec(**{**_DEFAULTS[task], **overrides, **fixed})
