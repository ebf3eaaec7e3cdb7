"""Sets to be generated: a task, its options and its seed."""

from dataclasses import asdict, dataclass
from pathlib import Path

from mmlite.errors import UserError

from .motion import sample_sequence
from .scene import sample_scene
from .spec import SEQUENCE_TASKS, SceneSpec, balanced_label, item_rng

GENERATOR_VERSION = 2
"""Raised with every change that alters the images or annotations of a given seed."""


@dataclass(frozen=True)
class Job:
    """A set of generated data.

    Args:
        task: One of ``TASKS``.
        root: Directory of the set.
        spec: Options of the scenes.
        seed: Not negative. Item ``i`` of a split depends on seed, task, split, ``i`` and ``spec``
            alone, so a longer set begins with the shorter one. Files are equal byte for byte with
            equal versions of NumPy and OpenCV on processors of one kind.
        train, val: Number of images, or of sequences for tracking.
        shuffle_labels: Sample every class label anew, whatever the object is. The images stay the
            same, byte for byte; nothing can be learned from the labels (negative control).

    Raises:
        UserError: A count or the seed is too small, or labels are shuffled for tracking.
    """

    task: str
    root: Path
    spec: SceneSpec
    seed: int = 0
    train: int = 200
    val: int = 50
    shuffle_labels: bool = False

    def __post_init__(self):
        for name, least in (('seed', 0), ('train', 1), ('val', 1)):
            if getattr(self, name) < least:
                raise UserError(
                    f'{name} of the generated set is {getattr(self, name)}; it must be >= {least}'
                )
        if self.shuffle_labels and self.task in SEQUENCE_TASKS:
            raise UserError(
                f"labels cannot be shuffled for task '{self.task}': its boxes have no class; "
                'shuffle det, cls or seg'
            )

    def options(self):
        """Everything that the set depends on, as plain JSON."""
        return {
            'generator': 'mmlite.datasets.shapes',
            'version': GENERATOR_VERSION,
            'task': self.task,
            'seed': self.seed,
            'train': self.train,
            'val': self.val,
            'shuffle_labels': self.shuffle_labels,
            **asdict(self.spec),
        }

    def label(self, split, index, purpose='label'):
        """Class of the main object of an item; every class once in a block of ``spec.classes``."""
        return balanced_label(self.seed, self.task, split, index, self.spec.classes, purpose)

    def rng(self, split, index, purpose=''):
        """Random generator for item ``index`` of ``split`` and one purpose."""
        return item_rng(self.seed, self.task, split, index, purpose)

    def scene(self, split, index):
        """Scene of image ``index`` of ``split``."""
        return sample_scene(self.rng(split, index), self.spec, self.label(split, index))

    def sequence(self, split, index):
        """Sequence ``index`` of ``split``."""
        return sample_sequence(self.rng(split, index), self.spec, self.label(split, index))
