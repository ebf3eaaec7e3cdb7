"""Pictures of annotations, predictions and curves, for pages and contact sheets."""

import base64
import io
import os

import cv2
import matplotlib
import numpy as np
from pycocotools import mask as coco_mask

if 'MPLBACKEND' not in os.environ:  # which notebooks set
    matplotlib.use('Agg')
from matplotlib import pyplot as plt  # noqa: E402  (the backend is chosen first)

#: Colours of classes (RGB), distinguishable also with the common colour deficiencies.
PALETTE = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0),
    (204, 121, 167), (128, 128, 255), (160, 210, 80), (255, 128, 128), (100, 220, 220),
    (190, 140, 90),
)  # fmt: skip


def draw_instances(image, boxes, labels, masks, names, scores=None, scale=1.0):
    """Draw boxes, masks and labels over a picture.

    Args:
        image (ndarray): RGB uint8 (H, W, 3).
        boxes (ndarray): (N, 4) as x1, y1, x2, y2 in pixels.
        labels (Sequence[int]): Class of each box.
        masks (Sequence): A bool array (H, W) or a run-length encoding for each box.
        names (Sequence[str]): Class names.
        scores (Sequence[float], optional): Written behind the names.
        scale (float): Enlargement of the picture, so that text stays legible. Defaults to 1.

    Returns:
        ndarray: RGB uint8 (scale * H, scale * W, 3).
    """
    size = tuple(round(scale * n) for n in image.shape[1::-1])
    canvas = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
    for mask, label in zip(masks, labels, strict=True):
        mask = coco_mask.decode(mask) if isinstance(mask, dict) else mask
        mask = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_LINEAR) > 0
        colour = np.array(PALETTE[label % len(PALETTE)])
        canvas[mask] = (0.55 * canvas[mask] + 0.45 * colour).astype(np.uint8)
    for index, (box, label) in enumerate(zip(boxes, labels, strict=True)):
        text = names[label] if scores is None else f'{names[label]} {scores[index]:.2f}'
        _draw_box(canvas, np.asarray(box) * scale, text, PALETTE[label % len(PALETTE)])
    return canvas


def _draw_box(canvas, box, text, colour):
    """A box with its text on a filled tag, above the box where there is room."""
    x1, y1, x2, y2 = (int(round(v)) for v in box)
    cv2.rectangle(canvas, (x1, y1), (x2, y2), colour, 2, cv2.LINE_AA)
    (width, height), base = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.45, 1)
    top = y1 - height - base - 2
    top = top if top >= 0 else y1
    left = max(0, min(x1, canvas.shape[1] - width - 4))
    cv2.rectangle(canvas, (left, top), (left + width + 4, top + height + base + 2), colour, -1)
    dark = sum(colour) < 380
    cv2.putText(
        canvas, text, (left + 2, top + height + 1), cv2.FONT_HERSHEY_SIMPLEX, 0.45,
        (255, 255, 255) if dark else (0, 0, 0), 1, cv2.LINE_AA,
    )  # fmt: skip


def draw_curves(panels, xlabel='iteration'):
    """Line plots side by side.

    Args:
        panels (dict[str, dict[str, tuple[list, list]]]): Title -> curve name -> (x, y).
        xlabel (str): Label of the horizontal axes.

    Returns:
        bytes: PNG.
    """
    figure, axes = plt.subplots(
        1, len(panels), figsize=(5.2 * len(panels), 3.4), squeeze=False, layout='constrained'
    )
    for axis, (title, curves) in zip(axes[0], panels.items(), strict=True):
        for name, (x, y) in curves.items():
            axis.plot(x, y, label=name, linewidth=1.4, marker='o' if len(x) < 12 else None)
        axis.set(title=title, xlabel=xlabel)
        axis.grid(alpha=0.3)
        if len(curves) > 1:
            axis.legend(fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png', dpi=110)
    plt.close(figure)
    return buffer.getvalue()


def encode_jpeg(image, quality=88):
    """RGB uint8 (H, W, 3) to the bytes of a JPEG file."""
    _, data = cv2.imencode('.jpg', image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return data.tobytes()


def encode_png(image):
    """RGB uint8 (H, W, 3) to the bytes of a PNG file: without loss, small for plain colours."""
    _, data = cv2.imencode('.png', image[..., ::-1])
    return data.tobytes()


def data_uri(data, kind):
    """Bytes of a picture as a ``data:`` address, so that a page needs no other file."""
    return f'data:image/{kind};base64,{base64.b64encode(data).decode()}'
