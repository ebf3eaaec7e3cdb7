"""Label maps of semantic segmentation."""

import numpy as np

from mmlite.errors import DataError
from mmlite.utils.names import listed

from .images import PNG, open_image

MODES = ('1', 'L', 'P', 'I', 'I;16', 'I;16B', 'I;16L', 'LA')


def decode_label_map(content):
    """Decode an image file whose pixels are labels.

    Grey images of up to 32 bits, one-bit images and indices of a palette are taken, an alpha
    channel beside grey is left out.

    Args:
        content (bytes): PNG or another lossless format.

    Returns:
        ndarray: (H, W), uint8, uint16 or int32.

    Raises:
        DataError: It has colours or floating-point values, is a JPEG, or cannot be decoded.
    """
    with open_image(content) as image:
        mode = image.mode
        if mode not in MODES:
            raise DataError(
                f'its pixels are of mode {mode}; a label map has one channel of integers, '
                'grey or with a palette'
            )
        if image.format == 'JPEG':
            raise DataError('it is a JPEG, whose compression changes labels: save it as PNG')
        labels = np.asarray(image.getchannel(0) if mode == 'LA' else image)
    bits, color = content[24:26] if content.startswith(PNG) else (8, 0)
    if bits < 8 and color == 0 and mode == 'L':
        labels = labels // (255 // (2**bits - 1))  # Pillow spreads the values over 0 to 255
    if labels.dtype.itemsize == 1:
        return labels.astype(np.uint8)
    fits = 0 <= labels.min() and labels.max() < 2**16  # OpenCV warps 16 bits, not 32
    return labels.astype(np.uint16 if fits else np.int32)


def reduce_zero(labels, ignore_index=255):
    """Count classes from 0 in place of 1; label 0 becomes ``ignore_index``, which stays."""
    kept = labels != ignore_index
    wide = labels.astype(np.int32)
    wide[kept] -= 1
    wide[wide < 0] = ignore_index
    return wide.astype(labels.dtype)


def count_values(labels):
    """dict[int, int]: Pixels of every value of an integer (H, W), by rising value."""
    values, counts = np.unique(labels, return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def check_labels(labels, classes, ignore_index=255, reduced=False):
    """Refuse labels that are neither 0 to ``classes`` - 1 nor ``ignore_index``.

    Args:
        labels (ndarray): Integers, after :func:`reduce_zero`.
        classes (int): Number of classes.
        ignore_index (int): Label of ignored pixels. Defaults to 255.
        reduced (bool): Whether the file counts from 1, for the message. Defaults to False.

    Raises:
        DataError: Names the first values of the file that are wrong, and those that are right.
    """
    wrong = ((labels < 0) | (labels >= classes)) & (labels != ignore_index)
    if wrong.any():
        values = (np.unique(labels[wrong]) + reduced).tolist()
        hint = '; if its classes count from 1, set reduce_zero_label=True of the data set'
        raise DataError(
            f'its value {listed(map(str, values), 5)} is not a class: {classes} classes have the '
            f'values {int(reduced)} to {classes - 1 + reduced}, and {ignore_index} is ignored'
            + hint
            * (not reduced and values == [classes])
        )
