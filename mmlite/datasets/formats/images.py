"""Headers and completeness of encoded images."""

import io
import re
import zlib
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from mmlite.errors import DataError

JPEG, PNG = b'\xff\xd8', b'\x89PNG\r\n\x1a\n'
ORIENTATION = 0x0112  # EXIF tag
SWAPPED = (5, 6, 7, 8)  # orientations that exchange width and height
MARKER = re.compile(rb'\xff[^\x00\xff\xd0-\xd7]')  # others are a part of a scan


class ImageHeader(NamedTuple):
    """Stored size in pixels, Pillow's mode, and EXIF orientation (1 to 8, 1 without any)."""

    width: int
    height: int
    mode: str
    orientation: int = 1

    @property
    def shown(self):
        """tuple[int, int]: Width and height after the orientation was applied."""
        swapped = self.orientation in SWAPPED
        return (self.height, self.width) if swapped else (self.width, self.height)


def read_header(source):
    """Read the header of an image.

    Args:
        source (str | Path | bytes): File, or its content.

    Raises:
        DataError: It is not an image of a known format; the sentence has no file name.
    """
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            orientation = image.getexif().get(ORIENTATION, 1)
            valid = orientation if orientation in range(1, 9) else 1
            return ImageHeader(*image.size, image.mode, valid)
    except Exception as error:  # decoders raise types of their own
        if isinstance(error, FileNotFoundError):
            raise DataError('it does not exist') from error
        raise DataError(f'it is not an image that can be decoded ({error})') from error


def has_exif(content):
    """Whether an encoded image may have an orientation."""
    head = content[: 2**16]
    return b'Exif' in head or b'eXIf' in head or b'EXIF' in content[-(2**16) :]


def check_depth(content):
    """Refuse images of more than 8 bits that would be loaded almost black or not at all.

    Decoders keep the upper 8 of 16 bits: the values of a camera with 10 to 14 bits would be lost.

    Raises:
        DataError: Reason, without the file name.
    """
    deep_png = content.startswith(PNG) and content[24:25] == b'\x10'
    if not deep_png and not content.startswith((b'II*\0', b'MM\0*')):
        return
    values = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype == np.uint8:
        return
    bits = 8 * values.dtype.itemsize
    if values.dtype != np.uint16:
        kind = 'floating-point numbers' if values.dtype.kind == 'f' else 'integers'
        raise DataError(f'its values are {kind} of {bits} bits: save it with 8 bits')
    if 0 < values.max() < 2**14:
        raise DataError(
            f'it has 16 bits but no value above {values.max()}, and would be loaded almost black: '
            'save it with 8 bits'
        )


def check_complete(content):
    """Refuse a truncated image, which decoders fill up with grey.

    JPEG markers are walked to the end of the image, PNG chunks with their check sums; whatever
    follows does not matter. Pillow reads the other formats.

    Raises:
        DataError: Reason, without the file name.
    """
    if not content:
        raise DataError('the file is empty')
    if content.startswith(JPEG):
        _check_jpeg(content)
    elif content.startswith(PNG):
        _check_png(content)
    else:
        try:
            with Image.open(io.BytesIO(content)) as image:
                image.load()
        except Exception as error:
            raise DataError(f'it is not an image that can be decoded ({error})') from error


def _check_png(content):
    position = len(PNG)
    while position + 12 <= len(content):
        length = int.from_bytes(content[position : position + 4], 'big')
        end = position + 12 + length
        if end > len(content):
            break
        chunk = memoryview(content)[position + 4 : end - 4]
        if zlib.crc32(chunk) != int.from_bytes(content[end - 4 : end], 'big'):
            raise DataError('the PNG is damaged (a check sum is wrong)')
        if chunk[:4] == b'IEND':
            return
        position = end
    raise DataError('the PNG is truncated (no IEND chunk)')


def _check_jpeg(content):
    position, components, unit = 2, 0, None  # of pixels that are coded together: rows, columns
    while (position := content.find(b'\xff', position)) >= 0:
        marker = content[position + 1 : position + 2]
        if marker == b'\xff':  # fill byte
            position += 1
        elif marker == b'\xd9':  # end of image
            return
        elif marker == b'\xda':  # start of scan
            only = content[position + 4 : position + 5] == components
            position = _end_of_scan(content, position + 2 + _length(content, position))
            following = content[position + 1 : position + 2]
            if only and following != b'\xd9':
                return _check_last_pixels(content, position, unit)
            # after a scan come the end, another scan or its tables
            if following not in (b'\xd9', b'\xda', b'\xc4', b'\xdb', b'\xdc', b'\xdd', b'\xfe'):
                break
        elif b'\xd0' <= marker <= b'\xd8' or marker in (b'\x00', b'\x01'):
            position += 2
        else:
            if marker in (b'\xc0', b'\xc1'):  # baseline; later scans of others refine all pixels
                components = content[position + 9 : position + 10]
                factors = content[position + 11 : position + 11 + 3 * components[0] : 3]
                unit = [8 * max(f & 15 for f in factors), 8 * max(f >> 4 for f in factors)]
            position += 2 + _length(content, position)
    raise DataError('the JPEG is truncated (no end-of-image marker)')


def _length(content, position):
    """Length of the segment whose marker is at ``position``."""
    return int.from_bytes(content[position + 2 : position + 4], 'big')


def _end_of_scan(content, position):
    found = MARKER.search(content, position)
    return found.start() if found else len(content)


def _check_last_pixels(content, end, unit):
    """Refuse a baseline scan without an end marker unless its bytes draw the lower right corner.

    Cameras write trailers in place of the marker. ``end`` may lie in the trailer, so that more and
    more bytes are left out until the pixels change. Zeros fill files of broken downloads.
    """
    end = len(content[:end].rstrip(b'\0'))
    readable = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) is not None
    whole, left_out = _decode(content[:end]) if readable else None, 8
    while whole is not None and left_out < end:
        cut = _decode(content[: end - left_out])
        if cut is None or cut.shape != whole.shape:
            break
        changed = np.argwhere((whole != cut).any(2))
        if len(changed):
            if (changed.max(0) >= np.subtract(whole.shape[:2], unit)).all():
                return
            break
        left_out *= 2
    raise DataError('the JPEG is truncated (no end-of-image marker)')


def _decode(scan):
    return cv2.imdecode(np.frombuffer(scan + b'\xff\xd9', np.uint8), cv2.IMREAD_COLOR)
