"""Images and figures as bytes of a file, and images in a grid."""

import base64
import functools
import io
import warnings

import cv2
import numpy as np

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp', '.ppm', '.pgm')
"""Lower-case endings of the image files that are looked for in directories."""

LINE = 24  # px of a line of text
INK, GREY = (40, 40, 40), (110, 110, 110)
FONT = cv2.FONT_HERSHEY_SIMPLEX


def encode_jpeg(image, quality=88):
    """Encode an RGB uint8 image (H, W, 3) as JPEG bytes."""
    return cv2.imencode('.jpg', image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def encode_png(image):
    """Encode a uint8 image, RGB (H, W, 3) or grey (H, W), as PNG bytes."""
    return cv2.imencode('.png', image[..., ::-1] if image.ndim == 3 else image)[1].tobytes()


def figure_png(figure, dpi=110):
    """Render a ``matplotlib.figure.Figure``, which needs no backend or closing, as PNG bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png', dpi=dpi)
    return buffer.getvalue()


def data_uri(data, kind):
    """Encode the bytes of an image as a ``data:`` URI, ``kind`` being ``'png'`` or ``'jpeg'``."""
    return f'data:image/{kind};base64,{base64.b64encode(data).decode()}'


def image_grid(images, captions=(), columns=None, title='', legend=(), gap=6):
    """Arrange images in rows on white.

    Args:
        images (Sequence[ndarray]): At least one, uint8 (H, W, 3), of any sizes, in reading order.
        captions (Sequence[str]): A line above each image. A row without captions has no such line.
        columns (int, optional): Images in a row, by default all.
        title (str): Above all; what follows a line break is smaller.
        legend (Sequence[tuple[str, Sequence[int]]]): Names and colors, below all.
        gap (int): Pixels between and around images.

    Returns:
        ndarray: uint8 (H, W, 3), in the channel order of the images and colors.
    """
    columns = min(columns or len(images), len(images))
    widths = [max(image.shape[1] for image in images[c::columns]) for c in range(columns)]
    lefts = np.cumsum([gap, *(width + gap for width in widths)]).tolist()
    strips = []
    for number, line in enumerate(title.splitlines()):
        strips.append(_blank(LINE + 6 * (number == 0), lefts[-1]))
        style = dict(color=GREY) if number else dict(size=0.65)
        baseline = len(strips[-1]) - 7
        put_text(strips[-1], line, (gap, baseline), width=lefts[-1] - gap, **style)
    for start in range(0, len(images), columns):
        row, titles = (items[start : start + columns] for items in (images, captions))
        top = LINE if any(titles) else gap
        strips.append(_blank(top + max(len(image) for image in row), lefts[-1]))
        for image, left in zip(row, lefts, strict=False):
            strips[-1][top : top + image.shape[0], left : left + image.shape[1]] = image
        for text, left, width in zip(titles, lefts, widths, strict=False):
            put_text(strips[-1], text, (left, LINE - 8), width=width)
    strips.append(_blank(gap, lefts[-1]))
    return np.concatenate([*strips, *_legend_lines(legend, lefts[-1], gap)])


def _legend_lines(entries, width, gap):
    """Strips of colors and names, as many in each as there is room for."""
    strips, x = [], width
    for name, color in entries:
        needed = LINE + text_width(name) + 2 * gap
        if x + needed > width:
            strips.append(_blank(LINE, width))
            x = gap
        cv2.rectangle(strips[-1], (x, 4), (x + LINE - 9, LINE - 5), [int(c) for c in color], -1)
        put_text(strips[-1], name, (x + LINE - 4, LINE - 8))
        x += needed
    return strips


def _blank(height, width):
    return np.full((height, width, 3), 255, np.uint8)


def text_width(text, size=0.45):
    """Width in pixels of a line that :func:`put_text` writes."""
    return cv2.getTextSize(text, FONT, size, 1)[0][0]


@functools.cache
def warn_of_font():
    """Warn, once, of letters that drawings cannot show."""
    warnings.warn(
        'the font of drawn images lacks letters of some names, which appear as squares or question '
        'marks: give class names (metainfo.classes) in Latin letters',
        stacklevel=2,
    )


def put_text(image, text, origin, color=INK, size=0.45, width=None):
    """Write a line, its baseline beginning at ``origin`` (x, y); beyond ``width`` px it is cut."""
    if width is not None and text_width(text, size) > width:
        while text and text_width(f'{text}...', size) > width:
            text = text[:-1]
        text += '...'
    if not text.isascii():
        warn_of_font()
    cv2.putText(image, text, origin, FONT, size, color, 1, cv2.LINE_AA)
