"""Frames with the boxes of tracked targets, and contact sheets of videos. All images are RGB."""

import numpy as np

from mmlite.utils import image_grid

from .drawing import draw_box, draw_note, draw_tag, legible
from .palette import PALETTE, class_colors

TRUTH = PALETTE[1]  # annotated boxes, blue beside the orange of the one target that is compared
TILES, COLUMNS = 12, 4  # frames of a contact sheet, and those in a row
TILE = (300, 300)
"""``sides`` of a frame of a contact sheet."""


def draw_targets(frame, boxes, notes=None, truth=None, caption='', sides=(640, 1280)):
    """Draw the boxes of targets into a copy of a frame.

    Args:
        frame (ndarray): RGB uint8 (H, W, 3).
        boxes (Sequence[Sequence[float]]): x, y, w, h of each target in pixels of the frame.
        notes (Sequence[str], optional): Text at each box.
        truth (Sequence[float], optional): Annotated box; left out where it is empty or not finite.
        caption (str): Written into the lower left corner.
        sides (tuple[int, int]): Bounds of the longest side of the result, in pixels. Default to 640
            and 1280; :data:`TILE` makes a frame of a contact sheet.
    """
    canvas, scale = legible(frame, *sides)
    if truth is not None and np.isfinite(truth).all() and min(truth[2:]) > 0:
        draw_box(canvas, _corners(truth, scale), TRUTH)
    for number, (box, color) in enumerate(zip(boxes, _colors(len(boxes)), strict=True)):
        draw_box(canvas, _corners(box, scale), color)
        if notes:
            draw_note(canvas, _corners(box, scale), color, notes[number])
    if caption:
        draw_tag(canvas, caption, 0, canvas.shape[0], (40, 40, 40))
    return canvas


def _colors(targets):
    return class_colors(targets, [color for color in PALETTE if color != TRUTH])


def _corners(box, scale):
    x, y, w, h = (float(value) * scale for value in box)
    return x, y, x + w, y + h


def track_sheet(title, tiles, targets=1, truth=False):
    """Arrange frames of a video in a grid (RGB uint8), over a legend of the colors of boxes.

    Args:
        title (str): Above all; text after a line break is smaller.
        tiles (Sequence[ndarray]): From :func:`draw_targets` with ``sides=TILE``.
        targets (int): Number of targets. Defaults to 1.
        truth (bool): Whether annotated boxes are drawn. Defaults to False.
    """
    names = ['tracked'] if targets == 1 else [f'target {i}' for i in range(1, targets + 1)]
    legend = list(zip(names, _colors(targets), strict=True))
    legend += [('annotated', TRUTH)] if truth else []
    return image_grid(tiles, columns=COLUMNS, title=title, legend=legend)


def even_indices(count, most=TILES):
    """At most ``most`` of ``count`` indices, evenly spaced from first to last."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist()


class EvenSubsampler:
    """Keep at most :data:`TILES` evenly spaced items of a stream of unknown length."""

    def __init__(self):
        self._kept, self._stride, self._seen = [], 1, 0

    def offer(self, make):
        """Count one item; call ``make()`` and keep its result if the item's turn has come."""
        if self._seen % self._stride == 0:
            self._kept.append(make())
            if len(self._kept) == 2 * TILES:
                self._kept, self._stride = self._kept[::2], 2 * self._stride
        self._seen += 1

    def items(self):
        """At most :data:`TILES` of the kept items, the first one included."""
        return [self._kept[i] for i in even_indices(len(self._kept))]
