"""Images and figures as bytes of a file."""

import base64
import io

import cv2

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp', '.ppm', '.pgm')
"""Lower-case endings of the image files that are looked for in directories."""


def encode_jpeg(image, quality=88):
    """Encode an RGB uint8 image (H, W, 3) as JPEG bytes."""
    return cv2.imencode('.jpg', image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def encode_png(image):
    """Encode a uint8 image, RGB (H, W, 3) or grey (H, W), as PNG bytes."""
    return cv2.imencode('.png', image[..., ::-1] if image.ndim == 3 else image)[1].tobytes()


def figure_png(figure, dpi=110):
    """Render a matplotlib figure as PNG bytes.

    Use ``matplotlib.figure.Figure`` rather than pyplot: it needs no backend and no closing.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png', dpi=dpi)
    return buffer.getvalue()


def data_uri(data, kind):
    """Encode the bytes of an image as a ``data:`` URI, ``kind`` being ``'png'`` or ``'jpeg'``."""
    return f'data:image/{kind};base64,{base64.b64encode(data).decode()}'
