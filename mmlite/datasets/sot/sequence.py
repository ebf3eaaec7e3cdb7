"""One video with the annotation of one target."""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Sequence:
    """A video with the boxes of its target.

    Args:
        name (str): Unique in its data set; result files have this name.
        dataset (str): ``'lasot'``, ``'got10k'``, ...
        frames: Frame source of N frames, see :mod:`mmlite.datasets.sot.frames`.
        boxes (ndarray): float64 (M, 4): ``x, y, w, h`` in pixels as in the annotation file. M is N,
            or 1 where only the first frame is annotated.
        visible (ndarray): bool (M,): whether the target is visible and has a box. Boxes of other
            frames may be zeros or NaN.
        cover (ndarray, optional): int64 (M,): GOT-10k's visible share of the target in eighths.
        regions (ndarray, optional): float64 (M, K, 2): corners of the target's region, outside of
            which a tracker is started anew (VOT).
    """

    name: str
    dataset: str
    frames: Any
    boxes: np.ndarray
    visible: np.ndarray
    cover: np.ndarray | None = None
    regions: np.ndarray | None = None

    @property
    def annotated(self):
        """Whether every frame has a box, not only the first."""
        return len(self.boxes) == len(self.frames)

    def __len__(self):
        return len(self.frames)
