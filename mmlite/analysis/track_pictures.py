"""Pictures of tracked targets: frames with boxes, and contact sheets of a video."""

import cv2
import numpy as np

from mmlite.datasets.shapes.sheet import Sheet, draw_box, draw_caption, fit, palette

TRUTH = (80, 230, 60)
"""Colour of annotated boxes, BGR."""

SHORTEST, LONGEST = 640, 1280  # px of the longest side of an annotated frame
TILES, COLUMNS, TILE = 12, 4, 300  # of a contact sheet; the last in pixels


def draw_targets(frame, boxes, notes, truth=None):
    """Draw the boxes of targets into a frame.

    A frame is enlarged or shrunk to a longest side of 640 to 1280 pixels, so that text is legible
    and hides little.

    Args:
        frame (ndarray): BGR uint8 (H, W, 3); it is not changed.
        boxes (Sequence[Sequence[float]]): x, y, w, h of each target in pixels of the frame.
        notes (Sequence[str]): What to write at each box.
        truth (Sequence[float], optional): Annotated box; one that is not finite or empty is left
            out.

    Returns:
        ndarray: BGR uint8.
    """
    longest = max(frame.shape[:2])
    scale = min(max(longest, SHORTEST), LONGEST) / longest
    size = [max(1, round(length * scale)) for length in frame.shape[1::-1]]
    smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    picture = cv2.resize(frame, size, interpolation=smooth) if scale != 1 else frame.copy()
    _draw(picture, boxes, notes, truth, scale)
    return picture


def draw_tile(frame, boxes, truth=None, caption=''):
    """A frame with its boxes as a tile of a contact sheet; arguments as in :func:`draw_targets`.

    Returns:
        ndarray: BGR uint8, with a longer side of 300 pixels.
    """
    tile, scale = fit(frame, TILE)
    height, width = (max(1, round(length * scale)) for length in frame.shape[:2])
    tile = np.ascontiguousarray(tile[:height, :width])
    _draw(tile, boxes, [''] * len(boxes), truth, scale)
    draw_caption(tile, caption)
    return tile


def contact_sheet(title, subtitle, tiles, targets=1, truth=False):
    """Put tiles under a header and over a legend of colours.

    Args:
        title, subtitle (str): Of the header.
        tiles (Sequence[ndarray]): From :func:`draw_tile`, at least one, of frames of one size.
        targets (int): Targets in them. Defaults to 1.
        truth (bool): Whether annotated boxes are drawn. Defaults to False.

    Returns:
        ndarray: BGR uint8 (H, W, 3).
    """
    names = ['tracked'] if targets == 1 else [f'target {i}' for i in range(1, targets + 1)]
    legend = list(zip(names, palette(targets), strict=True))
    legend += [('annotated', TRUTH)] if truth else []
    return Sheet(title, list(tiles), COLUMNS, legend).draw(subtitle)


class Spaced:
    """Keeps a few of a stream of items, at equal distances, without knowing how many will come.

    Args:
        most (int): So many at the end. Defaults to 12, the tiles of a contact sheet.
    """

    def __init__(self, most=TILES):
        self.most = most
        self._kept, self._stride, self._seen = [], 1, 0

    def offer(self, make):
        """Count one item, and keep what ``make()`` gives if its turn has come."""
        if self._seen % self._stride == 0:
            self._kept.append(make())
            if len(self._kept) == 2 * self.most:
                self._kept, self._stride = self._kept[::2], 2 * self._stride
        self._seen += 1

    def items(self):
        """list: At most ``most`` of what was kept, from the first on."""
        return [self._kept[i] for i in spread(len(self._kept), self.most)]


def spread(count, most=TILES):
    """list[int]: At most ``most`` of the indices of ``count`` items, evenly from first to last."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist()


def _draw(picture, boxes, notes, truth, scale):
    if truth is not None and _is_box(truth):
        draw_box(picture, _corners(truth, scale), TRUTH)
    for box, note, colour in zip(boxes, notes, palette(len(boxes)), strict=True):
        draw_box(picture, _corners(box, scale), colour, note)


def _is_box(box):
    return bool(np.isfinite(box).all() and box[2] > 0 and box[3] > 0)


def _corners(box, scale):
    x, y, w, h = (float(value) * scale for value in box)
    return x, y, x + w, y + h
