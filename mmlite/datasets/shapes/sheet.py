"""Contact sheets: a few items of a set, with their annotations drawn in, as one picture.

All colours here are BGR, as OpenCV reads and writes them.
"""

import colorsys
from dataclasses import dataclass, field

import cv2
import numpy as np
from pycocotools import mask as coco_mask

_TILE = 300  # px
_GAP = 6
_PAPER, _INK = (250, 250, 250), (40, 40, 40)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_PRESENT, _ABSENT = (80, 230, 60), (60, 60, 240)


@dataclass(frozen=True)
class Sheet:
    """Tiles in reading order, all of one size; ``legend`` is a list of (name, colour)."""

    title: str
    tiles: list
    columns: int
    legend: list = field(default_factory=list)

    def draw(self, subtitle):
        """(H, W, 3) uint8 picture of the tiles under a header and over the legend."""
        height, width = self.tiles[0].shape[:2]
        columns = min(self.columns, len(self.tiles))
        rows = -(-len(self.tiles) // columns)
        sheet_width = columns * (width + _GAP) + _GAP
        sheet = np.full((rows * (height + _GAP) + _GAP, sheet_width, 3), _PAPER, np.uint8)
        for number, tile in enumerate(self.tiles):
            y = _GAP + number // columns * (height + _GAP)
            x = _GAP + number % columns * (width + _GAP)
            sheet[y : y + height, x : x + width] = tile
        return np.concatenate([_header(self.title, subtitle, sheet_width), sheet, *self._footer()])

    def _footer(self):
        columns = min(self.columns, len(self.tiles))
        width = columns * (self.tiles[0].shape[1] + _GAP) + _GAP
        per_row = max(1, width // 130)
        for start in range(0, len(self.legend), per_row):
            strip = np.full((28, width, 3), _PAPER, np.uint8)
            for number, (name, color) in enumerate(self.legend[start : start + per_row]):
                x = 10 + number * 130
                cv2.rectangle(strip, (x, 5), (x + 18, 21), color, cv2.FILLED)
                _text(strip, name, (x + 25, 18), _INK, 0.45)
            yield strip


def palette(count, saturation=0.75):
    """``count`` colours of evenly spread hues and alternating brightness, BGR."""
    colors = []
    for number in range(count):
        value = (1.0, 0.75)[number % 2]
        rgb = colorsys.hsv_to_rgb(number / count, saturation, value)
        colors.append(tuple(int(255 * part) for part in reversed(rgb)))
    return colors


def fit(image, side=_TILE, interpolation=None):
    """Scale a picture into the upper left of a square of ``side`` px; return it and the scale."""
    scale = side / max(image.shape[:2])
    height, width = (max(1, round(length * scale)) for length in image.shape[:2])
    if interpolation is None:
        interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    tile = np.full((side, side, 3), _PAPER, np.uint8)
    tile[:height, :width] = cv2.resize(image, (width, height), interpolation=interpolation)
    return tile, scale


def draw_box(tile, box, color, text=''):
    """Draw a box ``x1, y1, x2, y2`` (tile px) and a label on its upper left corner."""
    x1, y1, x2, y2 = (round(float(value)) for value in box)
    cv2.rectangle(tile, (x1, y1), (x2 - 1, y2 - 1), color, 2, cv2.LINE_AA)
    if text:
        _chip(tile, text, x1 - 1, y1, color)


def draw_caption(tile, text, color=_INK):
    """Draw a label into the lower left corner."""
    _chip(tile, text, 0, tile.shape[0] - 3, color)


def draw_mask(tile, segmentation, size, color):
    """Tint a COCO segmentation of a picture of ``size`` (height, width), and draw its border."""
    runs = coco_mask.frPyObjects(segmentation, *size)
    mask = coco_mask.decode(coco_mask.merge(runs) if isinstance(runs, list) else runs)
    mask = fit(mask[..., None].repeat(3, axis=2) * np.uint8(255), tile.shape[0])[0][..., 0] > 127
    mask[round(size[0] / max(size) * tile.shape[0]) :] = False  # the paper beside a picture
    mask[:, round(size[1] / max(size) * tile.shape[1]) :] = False
    tile[mask] = (0.8 * tile[mask] + 0.2 * np.array(color)).astype(np.uint8)
    contours, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(tile, contours, -1, color, 2, cv2.LINE_AA)


def preview_sequences(title, rows, columns=8):
    """Sheet of sequences, one a row, at equal distances in time.

    Args:
        title (str): header of the sheet.
        rows (list): pairs of a name and its frames, each frame a tuple of path, box ``x, y, w, h``
            (zeros where there is none) and note.
        columns (int): frames to show.
    """
    tiles = []
    columns = min(columns, *(len(frames) for _, frames in rows))
    for name, frames in rows:
        for number in np.linspace(0, len(frames) - 1, columns).round().astype(int).tolist():
            path, (x, y, w, h), note = frames[number]
            tile, scale = fit(cv2.imread(str(path)), 210)
            if w > 0:
                color = _ABSENT if note in ('hidden', 'cover 0') else _PRESENT
                draw_box(tile, [value * scale for value in (x, y, x + w, y + h)], color)
            text = f'{name} {note}' if number == 0 else f'{number + 1} {note}'
            draw_caption(tile, text.strip())
            tiles.append(tile)
    return Sheet(title, tiles, columns)


def _header(title, subtitle, width):
    header = np.full((56, width, 3), _PAPER, np.uint8)
    _text(header, title, (_GAP + 2, 24), _INK, 0.65)
    _text(header, subtitle, (_GAP + 2, 46), (110, 110, 110), 0.45)
    return header


def _chip(tile, text, x, y, color):
    """Text on a filled rectangle whose lower left corner is at ``x, y``, kept inside the tile."""
    (width, height), _ = cv2.getTextSize(text, _FONT, 0.42, 1)
    x = int(np.clip(x, 0, max(0, tile.shape[1] - width - 6)))
    y = int(np.clip(y, height + 6, tile.shape[0]))
    cv2.rectangle(tile, (x, y - height - 6), (x + width + 6, y), color, cv2.FILLED)
    light = 0.114 * color[0] + 0.587 * color[1] + 0.299 * color[2] > 140
    _text(tile, text, (x + 3, y - 4), (20, 20, 20) if light else (245, 245, 245), 0.42)


def _text(image, text, origin, color, size):
    cv2.putText(image, text, origin, _FONT, size, color, 1, cv2.LINE_AA)
