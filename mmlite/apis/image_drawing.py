"""Sizes and text of drawn results."""

import cv2

from mmlite.datasets.shapes.sheet import palette as spread

FONT = cv2.FONT_HERSHEY_SIMPLEX
GAP = 6  # px
LINE = 24  # px of a line of text
PAPER, INK = (250, 250, 250), (40, 40, 40)
SHORTEST, LONGEST = 480, 960  # px of a drawn image's longest side, at least and at most


def fit_size(image):
    """Scale an image to a longest side of 480 to 960 pixels, so that text upon it is legible.

    Args:
        image (ndarray): uint8 (H, W, 3).

    Returns:
        tuple[ndarray, float]: The image and its scale.
    """
    longest = max(image.shape[:2])
    scale = min(max(longest, SHORTEST), LONGEST) / longest
    if scale == 1:
        return image, 1.0
    size = tuple(max(1, round(scale * length)) for length in image.shape[1::-1])
    smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(image, size, interpolation=smooth), scale


def shorten(text, width, size=0.45):
    """``text`` cut to a width in pixels, with dots at its end where it was."""
    if cv2.getTextSize(text, FONT, size, 1)[0][0] <= width:
        return text
    while text and cv2.getTextSize(f'{text}...', FONT, size, 1)[0][0] > width:
        text = text[:-1]
    return f'{text}...'


def many_colours(count, palette=None):
    """Colours of classes.

    Args:
        count (int): How many.
        palette (Sequence[tuple[int, int, int]], optional): The first of them.

    Returns:
        list[tuple[int, int, int]]: (red, green, blue) of each.
    """
    colours = [tuple(int(part) for part in colour) for colour in palette or ()]
    missing = count - len(colours)
    # BGR, but hues that are spread evenly are so either way
    return colours + (spread(missing) if missing > 0 else [])
