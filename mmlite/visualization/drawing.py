"""Boxes, masks, labels and label maps over images. All images are RGB."""

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from mmlite.utils import image_grid
from mmlite.utils.images import put_text, text_width

from .palette import PALETTE

IGNORED_COLOR = (0, 0, 0)
TAG = 20  # px, height of the colored strip under a text


def legible(image, shortest=320, longest=640):
    """Copy an image (H, W, 3), its longest side resized into a range of pixels; and the scale."""
    side = max(image.shape[:2])
    scale = min(max(side, shortest), longest) / side
    if scale == 1:
        return np.array(image, order='C'), 1.0
    size = tuple(max(1, round(scale * length)) for length in image.shape[1::-1])
    smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(np.ascontiguousarray(image), size, interpolation=smooth), scale


def draw_instances(image, boxes, labels, masks, names, scores=None, scale=1.0):
    """Draw boxes, masks and labels over an image.

    Args:
        image (ndarray): RGB uint8 (H, W, 3).
        boxes (ndarray): (N, 4) as x1, y1, x2, y2 in pixels.
        labels (Sequence[int]): Class of each box.
        masks (Sequence | None): Of each box, a bool array (H, W) or COCO's polygons or run lengths.
        names (Sequence[str] | dict[int, str]): Class names. A class beyond them is numbered.
        scores (Sequence[float], optional): Written after the names.
        scale (float): Enlargement of the image.

    Returns:
        ndarray: RGB uint8 (scale * H, scale * W, 3).
    """
    size = tuple(round(scale * n) for n in image.shape[1::-1])
    canvas = cv2.resize(np.ascontiguousarray(image), size, interpolation=cv2.INTER_CUBIC)
    colors = [PALETTE[label % len(PALETTE)] for label in labels]
    for mask, color in zip(masks if masks is not None else (), colors, strict=False):
        mask = cv2.resize(_mask(mask, image.shape[:2]), size, interpolation=cv2.INTER_LINEAR) > 0
        canvas[mask] = (0.55 * canvas[mask] + 0.45 * np.array(color)).astype(np.uint8)
    boxes = [np.asarray(box) * scale for box in boxes]
    for box, color in zip(boxes, colors, strict=True):
        draw_box(canvas, box, color)
    for index, label in enumerate(labels):  # upon all boxes
        text = class_name(names, label)
        text += '' if scores is None else f' {scores[index]:.2f}'
        draw_note(canvas, boxes[index], colors[index], text)
    return canvas


def _mask(segmentation, shape):
    """A mask in any form as uint8 (H, W)."""
    if isinstance(segmentation, np.ndarray):
        return segmentation.astype(np.uint8)
    if isinstance(segmentation, list):
        segmentation = coco_mask.merge(coco_mask.frPyObjects(segmentation, *shape))
    elif isinstance(segmentation['counts'], list):
        segmentation = coco_mask.frPyObjects(segmentation, *shape)
    return coco_mask.decode(segmentation)


def class_name(names, label):
    """Name of a class, or its number where ``names``, a sequence or dict, has none."""
    known = label in names if isinstance(names, dict) else 0 <= label < len(names)
    return str(names[label]) if known else f'class {label}'


def draw_box(canvas, box, color):
    """Draw a box ``x1, y1, x2, y2`` in place."""
    x1, y1, x2, y2 = (round(float(value)) for value in box)
    cv2.rectangle(canvas, (x1, y1), (x2, y2), color, 2, cv2.LINE_AA)


def draw_note(canvas, box, color, text):
    """Write above a box, or inside where it touches the upper edge; see :func:`draw_tag`."""
    y = round(float(box[1]))
    draw_tag(canvas, text, float(box[0]), y if y >= TAG else y + TAG, color)


def draw_tag(canvas, text, x, y, color):
    """Write on a strip of ``color`` in place, its lower left corner at x, y if there is room."""
    x = int(np.clip(x, 0, max(0, canvas.shape[1] - text_width(text) - 6)))
    y = int(np.clip(y, TAG, max(TAG, canvas.shape[0])))
    cv2.rectangle(canvas, (x, y - TAG), (x + text_width(text) + 6, y), color, cv2.FILLED)
    light = np.dot(color, (0.299, 0.587, 0.114)) > 140
    put_text(canvas, text, (x + 3, y - 5), (20, 20, 20) if light else (245, 245, 245))


def draw_label_maps(image, maps, names, colors, ignored=255):
    """Draw an image and :func:`color_label_maps` side by side over a legend, RGB uint8."""
    tiles, entries = color_label_maps(image, maps, names, colors, ignored)
    return image_grid(list(tiles.values()), list(tiles), legend=entries)


def color_label_maps(image, maps, names, colors, ignored=255):
    """Color label maps.

    Args:
        image (ndarray): RGB uint8 (H, W, 3).
        maps (dict[str, ndarray]): Title -> labels (H, W). Another size is stretched to the image's.
        names (Sequence[str]): Class names.
        colors (Sequence[Sequence[int]]): RGB color of each class.
        ignored (int): Label of pixels without a class, drawn black. Defaults to 255.

    Returns:
        tuple[dict[str, ndarray], list[tuple[str, list[int]]]]: ``'image'`` and the titles -> RGB
        uint8 (h, w, 3), longest side 320 to 640 pixels; names with colors of the classes that
        occur.
    """
    table = np.array([*colors, IGNORED_COLOR], np.uint8)  # ignored pixels come after the classes
    tiles = {'image': legible(image)[0]}
    size = tiles['image'].shape[1::-1]
    shown = set()
    for title, labels in maps.items():
        labels = np.where(labels == ignored, len(names), labels).astype(np.int32)
        shown.update(np.unique(labels).tolist())
        tiles[title] = table[cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)]
    entries = [([*names, 'ignored'][label], table[label].tolist()) for label in sorted(shown)]
    return tiles, entries
