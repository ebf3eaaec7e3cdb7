"""Label maps of semantic segmentation."""

import io

import numpy as np
from PIL import Image

from mmlite.errors import DataError

MODES = ('1', 'L', 'P', 'I', 'I;16', 'I;16B', 'I;16L', 'LA')


def decode_label_map(content):
    """Decode an image file whose pixels are labels.

    Grey images of 8, 16 or 32 bits, one-bit images and indices of a palette are taken, an alpha
    channel beside grey is left out.

    Args:
        content (bytes): PNG or another lossless format.

    Returns:
        ndarray: (H, W), uint8, uint16 or int32.

    Raises:
        DataError: It has colours or floating-point values, or cannot be decoded.
    """
    try:
        with Image.open(io.BytesIO(content)) as image:
            mode = image.mode
            if mode not in MODES:
                raise DataError(
                    f'its pixels are of mode {mode}; a label map has one channel of integers, '
                    'grey or with a palette'
                )
            labels = np.asarray(image.getchannel(0) if mode == 'LA' else image)
    except DataError:
        raise
    except Exception as error:  # decoders raise types of their own
        raise DataError(f'it is not an image that can be decoded ({error})') from error
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
        values = np.unique(labels[wrong]) + reduced
        shown = ', '.join(map(str, values[:5])) + (', ...' if len(values) > 5 else '')
        first = int(reduced)
        hint = (
            '; if its classes count from 1, set reduce_zero_label=True of the data set'
            if not reduced and values.tolist() == [classes]
            else ''
        )
        raise DataError(
            f'its value {shown} is not a class: {classes} classes have the values {first} to '
            f'{classes - 1 + first}, and {ignore_index} is ignored{hint}'
        )
