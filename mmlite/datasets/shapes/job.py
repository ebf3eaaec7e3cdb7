"""One set to be made: a task, its options and its seed."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2

from mmlite.errors import UserError

from .motion import sample_sequence
from .scene import sample_scene
from .spec import SEQUENCE_TASKS, SceneSpec, balanced_label, item_rng

GENERATOR_VERSION = 1
"""Raised with every change that alters the pictures or annotations of a given seed."""

_JPEG_QUALITY = 92


@dataclass(frozen=True)
class Job:
    """A set of generated data.

    Args:
        task: one of ``TASKS``.
        root: folder of the set.
        spec: options of the scenes.
        seed: not negative. Item ``i`` of a split depends on seed, task, split, ``i`` and ``spec``
            alone, so a longer set begins with the shorter one. Files are equal byte for byte with
            equal versions of NumPy and OpenCV on processors of one kind.
        train, val: pictures, or sequences for tracking.
        shuffle_labels: draw every class label anew, whatever the object is. The pictures stay the
            same, byte for byte; nothing can be learned from the labels (negative control).

    Raises:
        UserError: a count or the seed is negative, or labels are shuffled for tracking.
    """

    task: str
    root: Path
    spec: SceneSpec
    seed: int = 0
    train: int = 200
    val: int = 50
    shuffle_labels: bool = False

    def __post_init__(self):
        if self.seed < 0:
            raise UserError(f'The seed is {self.seed}; it should be 0 or more.')
        if self.train < 1 or self.val < 1:
            raise UserError(
                f'The set has {self.train} train and {self.val} val items; it should have at least '
                '1 of each.'
            )
        if self.shuffle_labels and self.task in SEQUENCE_TASKS:
            raise UserError(
                f"Labels cannot be shuffled for task '{self.task}': its boxes have no class; "
                'shuffle det, cls or seg.'
            )

    def options(self):
        """dict: everything that the set depends on, as plain JSON."""
        return {
            'generator': 'mmlite.datasets.shapes',
            'version': GENERATOR_VERSION,
            'task': self.task,
            'seed': self.seed,
            'train': self.train,
            'val': self.val,
            'shuffle_labels': self.shuffle_labels,
            'spec': asdict(self.spec),
        }

    def label(self, split, index):
        """Class of the main object of an item; every class once in a block of ``spec.classes``."""
        return balanced_label(self.seed, self.task, split, index, self.spec.classes)

    def rng(self, split, index, purpose=''):
        """Generator for item ``index`` of ``split`` and one purpose."""
        return item_rng(self.seed, self.task, split, index, purpose)

    def scene(self, split, index):
        """Scene of picture ``index`` of ``split``."""
        return sample_scene(self.rng(split, index), self.spec, self.label(split, index))

    def sequence(self, split, index):
        """Sequence ``index`` of ``split``."""
        return sample_sequence(self.rng(split, index), self.spec, self.label(split, index))


def write_bytes(path, data):
    """Write a file whole or not at all; folders are made as needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'.{path.name}.partial')
    partial.write_bytes(data)
    os.replace(partial, path)


def write_text(path, text):
    """``write_bytes`` for text in UTF-8."""
    write_bytes(path, text.encode())


def write_json(path, value, indent=None):
    """``write_bytes`` for JSON."""
    write_text(path, json.dumps(value, indent=indent) + '\n')


def write_jpeg(path, image):
    """Write an (H, W, 3) uint8 RGB picture as JPEG."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    write_bytes(path, cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1])


def write_png(path, image):
    """Write an (H, W) uint8 grey or (H, W, 3) uint8 RGB picture as PNG."""
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    write_bytes(path, cv2.imencode('.png', image)[1])
