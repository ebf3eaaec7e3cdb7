"""Headers and decoding of image files."""

import io
import re
import struct
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import cv2
import mmcv
import numpy as np
from PIL import Image

from mmlite.errors import DataError

JPEG, PNG, TIFF = b'\xff\xd8', b'\x89PNG\r\n\x1a\n', (b'II*\0', b'MM\0*')
ORIENTATION = 0x0112  # EXIF tag
SWAPPED = (5, 6, 7, 8)  # orientations that exchange width and height
SEGMENT = struct.Struct('>xBH').unpack_from  # marker and length
ALONE = (0x00, 0x01, *range(0xD0, 0xD9), 0xFF)  # markers without a length, fill bytes
MARKER = re.compile(rb'\xff[^\x00\xff\xd0-\xd7]')  # others are a part of a scan
Image.MAX_IMAGE_PIXELS = 2**30  # OpenCV's limit; aerial images exceed Pillow's


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


@contextmanager
def open_image(source):
    """Open an image by Pillow: a file, or its content.

    Raises:
        DataError: Whatever a decoder raises; the sentence has no file name.
    """
    content = isinstance(source, bytes)
    try:
        with Image.open(io.BytesIO(source) if content else source) as image:
            yield image
    except (DataError, MemoryError):
        raise
    except FileNotFoundError as error:
        raise DataError('it does not exist') from error
    except Exception as error:  # decoders raise types of their own
        raise undecodable(source if content else Path(source).read_bytes()) from error


def undecodable(content):
    """DataError: For content that is not an image; what is there, e.g. a web page, is quoted."""
    if not content:
        return DataError('the file is empty')
    return DataError(f'it is not an image that can be decoded: it begins with {content[:16]!r}')


def read_header(source):
    """Read the header of an image, a file or its content; see :func:`open_image`."""
    with open_image(source) as image:
        orientation = image.getexif().get(ORIENTATION, 1)
        # Pillow has swapped the size of a TIFF
        size = image.size[:: -1 if image.format == 'TIFF' and orientation in SWAPPED else 1]
        return ImageHeader(*size, image.mode, orientation if orientation in range(1, 9) else 1)


def has_exif(content):
    """Whether an encoded image may have an orientation."""
    if content.startswith(JPEG):  # a segment before the first scan
        return b'Exif' in content[: content.find(b'\xff\xda\0')]
    name = b'eXIf' if content.startswith(PNG) else b'EXIF'
    return content.startswith(TIFF) or name in content[: 2**16] or name in content[-(2**16) :]


def decode_image(content, flag='color', backend='cv2'):
    """Decode an image if its file is whole and 8 bits can hold its values.

    Args:
        content (bytes): Content of the file.
        flag, backend (str): See :func:`mmcv.imfrombytes`. Default to BGR, oriented as EXIF says, by
            OpenCV.

    Returns:
        ndarray: uint8, (H, W, 3) for colours.

    Raises:
        DataError: Reason, without the file name.
    """
    if not content:
        raise undecodable(content)
    if content.startswith(JPEG):
        _check_jpeg(content)
    elif content.startswith(PNG):
        _check_png(content)
    _check_depth(content)
    try:
        image = mmcv.imfrombytes(content, flag=flag, backend=backend)
    except MemoryError:
        raise
    except Exception as error:  # decoders raise types of their own
        raise undecodable(content) from error
    if image is None:
        raise undecodable(content)
    # libjpeg fills up with grey what a scan lacks
    corners = (image[row, column] for row in (0, -1) for column in (0, -1))
    if content.startswith(JPEG) and not all(corner.tobytes().strip(b'\x80') for corner in corners):
        _check_jpeg(content, grey=True)
    return image


def _check_depth(content):
    """Refuse images of more than 8 bits that would be loaded almost black or not at all.

    Decoders keep the upper 8 of 16 bits: the values of a camera with 10 to 14 bits would be lost.
    """
    shallow = content.startswith((JPEG, b'RIFF', b'GIF8', b'BM'))
    if shallow or (content.startswith(PNG) and content[24:25] != b'\x10'):
        return
    values = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype == np.uint8:
        return
    bits = 8 * values.dtype.itemsize
    if values.dtype != np.uint16:
        kind = 'floating-point numbers' if values.dtype.kind == 'f' else 'integers'
        raise DataError(f'its values are {kind} of {bits} bits: save it with 8 bits')
    largest = np.atleast_3d(values)[..., :3].max()  # an alpha channel is full
    if 0 < largest < 2**14:
        raise DataError(
            f'it has 16 bits but no value above {largest}, and would be loaded almost black: '
            'save it with 8 bits'
        )


def _check_png(content):
    """Walk the chunks to the end, with the check sums of those that decoders must read."""
    position = len(PNG)
    while position + 12 <= len(content):
        length = int.from_bytes(content[position : position + 4], 'big')
        end = position + 12 + length
        if end > len(content):
            break
        chunk = memoryview(content)[position + 4 : end - 4]
        critical = content[position + 4 : position + 5].isupper()
        if critical and zlib.crc32(chunk) != int.from_bytes(content[end - 4 : end], 'big'):
            raise DataError('the PNG is damaged (a check sum is wrong)')
        if chunk[:4] == b'IEND':
            return
        position = end
    raise DataError('the PNG is truncated (no IEND chunk)')


def _check_jpeg(content, grey=False):
    """Walk the markers to the end of the image; ``grey``: the only scan may end too early."""
    position, components = 2, b''  # of a baseline image; later scans of others refine all pixels
    while 0 <= (position := content.find(b'\xff', position)) <= len(content) - 4:
        marker, length = SEGMENT(content, position)
        if marker in (0xC0, 0xC1):
            components = content[position + 9 : position + 10]
        elif marker == 0xDA:  # start of scan
            only = content[position + 4 : position + 5] == components
            if only and components != b'\x04' and content.endswith(b'\xff\xd9') and not grey:
                return  # where it ends too early, libjpeg draws grey
            found = MARKER.search(content, position + 2 + length)
            position = found.start() if found else len(content)
            following = content[position + 1 : position + 2]
            if only and (grey or following != b'\xd9'):
                return _check_last_pixels(content, position)
            if following == b'\xd9':  # end of image
                return
            if following not in (b'\xda', b'\xc4', b'\xdb', b'\xdc', b'\xdd', b'\xfe'):
                break  # neither another scan nor its tables
            continue
        elif marker in ALONE:
            length = -1 if marker == 0xFF else 0
        position += 2 + length
    raise DataError('the JPEG is truncated (no end-of-image marker)')


def _check_last_pixels(content, end):
    """Refuse a baseline scan unless its last bytes decide about the last pixel.

    Cameras write trailers in place of the end marker. ``end`` may lie in the trailer, so that bytes
    ever farther away are altered. Zeros fill files of broken downloads.
    """
    ended = content[end : end + 2] == b'\xff\xd9'
    if not ended:
        end = len(content[:end].rstrip(b'\0'))
    readable = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) is not None
    whole, distance, tries = _decode(content[:end]) if readable else None, 1, 20
    while whole is not None and distance < end and tries:
        changed = bytes([content[end - distance] ^ 0x55])
        other = _decode(content[: end - distance] + changed + content[end - distance + 1 : end])
        if other is None or other.shape != whole.shape:  # in the header
            if ended and tries == 20:  # an image of one colour
                return
            break
        if (whole[-1, -1] != other[-1, -1]).any():
            return
        tries -= (whole != other).any()
        distance += distance // 2 + 1
    raise DataError('the JPEG is truncated: its pixels end too early')


def _decode(scan):
    return cv2.imdecode(np.frombuffer(scan + b'\xff\xd9', np.uint8), cv2.IMREAD_COLOR)
