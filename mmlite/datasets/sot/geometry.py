"""Square crops around a target, and boxes in the coordinates of a crop.

Frames are BGR ``uint8`` (H, W, 3). Boxes are ``x, y, w, h`` in pixels of the frame, in continuous
coordinates, where pixel ``i`` covers ``[i, i + 1)``; they may leave the frame.

``coords`` selects how boxes are mapped:

``'ostrack'``
    As in released OSTrack trackers, whose weights expect two small errors: a label's crop has its
    centre at ``(size - 1) / 2``, a prediction's at ``size / 2``, and neither regards that the
    corner was rounded to integers. A label comes back half a crop pixel up and left.
``'exact'``
    Both directions use the integer corner of the crop, so a box comes back unchanged.

Source: OSTrack (Ye et al., ECCV 2022, arXiv 2203.11991), whose crop is that of PyTracking.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from mmlite.errors import DataError
from mmlite.utils.names import check_known

_LARGEST_SIDE = 2**13  # of a square box in pixels; the crop of a larger one exhausts the memory


@dataclass(frozen=True)
class CropWindow:
    """A square window of a frame that is resized to a crop."""

    x: int  # top-left corner in frame pixels; may lie outside the frame
    y: int
    side: int  # in frame pixels, >= 1
    size: int  # side after resizing, in crop pixels

    @property
    def scale(self):
        """Crop pixels per frame pixel."""
        return self.size / self.side


def plan_crop(box, factor, size):
    """Plan the window around a box, of side ``ceil(sqrt(w * h) * factor)``.

    ``factor`` is 2 for templates and 4 for search regions of OSTrack-256. DataError if the box is
    not finite, or its area is 0 or above 8192 x 8192.
    """
    x, y, w, h = map(float, box)
    finite = all(map(math.isfinite, (x, y, w * h)))
    if not finite or min(w, h) <= 0 or w * h > _LARGEST_SIDE**2:
        raise DataError(
            f'box x={x:g}, y={y:g}, w={w:g}, h={h:g} cannot be cropped around: it must be finite '
            f'and have an area of at most {_LARGEST_SIDE} x {_LARGEST_SIDE} pixels'
        )
    side = math.ceil(math.sqrt(w * h) * factor)
    if side < 1:
        raise DataError(f'box of w={w:g}, h={h:g} with factor {factor:g} gives an empty crop')
    return CropWindow(round(x + 0.5 * w - 0.5 * side), round(y + 0.5 * h - 0.5 * side), side, size)


def cut_crop(image, window):
    """Cut a window out of a frame as (size, size, 3); pixels outside the frame are black.

    Resized bilinearly on ``uint8``, without antialiasing. As in the released trackers, the last
    column or row of the frame is black, too, where a window touches the right or bottom border.
    """
    top, bottom = _covered(image.shape[0], window.y, window.side)
    left, right = _covered(image.shape[1], window.x, window.side)
    patch = image[window.y + top : window.y + bottom, window.x + left : window.x + right]
    if patch.shape[:2] != (window.side, window.side):
        padded = np.zeros((window.side, window.side, *image.shape[2:]), image.dtype)
        padded[top:bottom, left:right] = patch
        patch = padded
    return cv2.resize(patch, (window.size, window.size), interpolation=cv2.INTER_LINEAR)


def shows_image(image_shape, window, stride=16):
    """Whether a crop has a feature cell that is image, not padding; else training drops it.

    A cell, of ``stride`` crop pixels, counts by its top-left pixel, which is image if none of the
    frame pixels that it is interpolated from is padding: the reference's padding mask, resized to
    the crop.
    """
    centres = (np.arange(0, window.size, stride) + 0.5) / window.scale - 0.5
    centres = centres.clip(0, window.side - 1)
    for extent, start in ((image_shape[0], window.y), (image_shape[1], window.x)):
        first, last = _covered(extent, start, window.side)
        if not np.any((np.floor(centres) >= first) & (np.ceil(centres) < last)):
            return False
    return True


def box_to_crop(box, around, window, coords):
    """Map a box ``x, y, w, h`` of the frame to units of the crop's side, not clipped to it.

    ``around`` is the box that ``window`` was planned around (after jitter).
    """
    x, y, w, h = map(float, box)
    if is_exact(coords):
        left, top = (x - window.x) / window.side, (y - window.y) / window.side
        return left, top, w / window.side, h / window.side
    centre = (window.size - 1) / 2
    around_x, around_y, around_w, around_h = map(float, around)
    left = centre + (x - around_x - 0.5 * around_w) * window.scale
    top = centre + (y - around_y - 0.5 * around_h) * window.scale
    return left / window.size, top / window.size, w / window.side, h / window.side


def box_to_image(box, around, window, coords):
    """Map a predicted ``cx, cy, w, h``, in units of the crop's side, to x, y, w, h of the frame."""
    cx, cy, w, h = (float(value) * window.side for value in box)
    if is_exact(coords):
        left, top = window.x, window.y
    else:
        around_x, around_y, around_w, around_h = map(float, around)
        left = around_x + 0.5 * around_w - 0.5 * window.side
        top = around_y + 0.5 * around_h - 0.5 * window.side
    return left + cx - 0.5 * w, top + cy - 0.5 * h, w, h


def clip_box(box, image_shape, margin=10):
    """Cut a box ``x, y, w, h`` at the borders of a frame; ``margin`` pixels of it stay inside."""
    x, y, w, h = map(float, box)
    left, width = _clip(x, x + w, float(image_shape[1]), float(margin))
    top, height = _clip(y, y + h, float(image_shape[0]), float(margin))
    return left, top, width, height


def _covered(extent, start, side):
    """First and last (exclusive) row or column of a window that lies in the frame."""
    last = extent - start
    if last <= side:  # the reference pads one row or column too many at this border
        last -= 1
    first = min(max(0, -start), side)
    return first, max(first, min(last, side))


def _clip(low, high, extent, margin):
    low = min(max(0.0, low), extent - margin)
    high = min(max(margin, high), extent)
    return low, max(margin, high - low)


def is_exact(coords):
    """Whether ``coords`` is ``'exact'`` rather than ``'ostrack'``; ArgumentError for others."""
    check_known('coords', coords, ('ostrack', 'exact'))
    return coords == 'exact'
