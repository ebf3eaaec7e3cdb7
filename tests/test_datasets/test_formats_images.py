"""Truncated images are refused, sound ones with anything behind their end are read."""

import io
import re
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from mmlite.datasets import LoadImageFromFile
from mmlite.datasets.formats.images import decode_image, read_header
from mmlite.errors import DataError

NOISE = np.random.default_rng(1).integers(0, 256, (96, 128, 3), dtype=np.uint8)
IMAGE = cv2.GaussianBlur(NOISE, (9, 9), 0)
TRAILER = np.random.default_rng(2).integers(0, 256, 30_000, dtype=np.uint8).tobytes()


def encode(suffix='.jpg', image=IMAGE, *options):
    return cv2.imencode(suffix, image, list(options))[1].tobytes()


JPG, PNG, SMALL = encode(), encode('.png'), encode('.jpg', IMAGE[::4, ::4])
PROGRESSIVE = encode('.jpg', IMAGE, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
RESTARTS = encode('.jpg', IMAGE, cv2.IMWRITE_JPEG_RST_INTERVAL, 4)
THUMBNAIL = b'\xff\xe1' + (len(SMALL) + 8).to_bytes(2, 'big') + b'Exif\0\0' + SMALL


def pillow(kind, image=IMAGE, **options):
    buffer = io.BytesIO()
    Image.fromarray(image[..., ::-1]).save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(name, data, crc=None):
    crc = zlib.crc32(name + data) if crc is None else crc
    return struct.pack('>I', len(data)) + name + data + struct.pack('>I', crc)


def png(bits, color, rows, interlaced=0, width=None):
    """A PNG of any depth; rows are bytes of unfiltered pixels."""
    size = len(rows) if not interlaced else 96
    header = struct.pack('>IIBBBBB', width or 128, size, bits, color, 0, 0, interlaced)
    pixels = zlib.compress(b''.join(b'\0' + row for row in rows))
    return PNG[:8] + chunk(b'IHDR', header) + chunk(b'IDAT', pixels) + chunk(b'IEND', b'')


ADAM7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2)]
PASSES = [row.tobytes() for y, x, dy, dx in [*ADAM7, (1, 0, 2, 1)]
          for row in IMAGE[y::dy, x::dx, ::-1]]  # fmt: skip
SCAN = JPG.index(b'\xff\xda')
MARKERS = [m.start() for m in re.finditer(rb'\xff[\xc4\xda]', PROGRESSIVE)][1:]
GREY = np.full_like(IMAGE, 128)  # as libjpeg fills up
GREY[:40] = IMAGE[:40]

SOUND = {
    'plain': JPG,
    'progressive': PROGRESSIVE,
    'restart markers': RESTARTS,
    'trailer': JPG + TRAILER,
    'trailer in place of the end marker': JPG[:-2] + b'SEFH' + b'\0' * 64 + b'SEFT',
    'random trailer in place of it': JPG[:-2] + TRAILER,
    'another segment in place of it': JPG[:-2] + b'\xff\xe5\0\x04ab',
    'thumbnail': JPG[:2] + THUMBNAIL + JPG[2:],
    'PNG': PNG,
    'PNG with a trailer': PNG + TRAILER,
    'PNG, a text with a wrong check sum': PNG[:33] + chunk(b'tEXt', b'a\0b', 1) + PNG[33:],
    'PNG, interlaced': png(8, 2, PASSES, 1),
    'PNG, animated': pillow('PNG', save_all=True, append_images=[Image.new('RGB', (128, 96))]),
    'PNG with alpha': encode('.png', np.dstack([IMAGE, IMAGE[..., 0]])),
    'two images (MPO)': pillow('MPO', save_all=True, append_images=[Image.new('RGB', (128, 96))]),
    'second of two images is cut': JPG + JPG[: len(JPG) // 2],
    'ends in grey': encode('.jpg', GREY),
    'ends in grey, optimized': encode('.jpg', GREY, cv2.IMWRITE_JPEG_OPTIMIZE, 1),
    'grey': encode('.jpg', GREY * 0 + 128),
    'grey, optimized': encode('.jpg', GREY * 0 + 128, cv2.IMWRITE_JPEG_OPTIMIZE, 1),
    'grey, in place of the end marker': encode('.jpg', GREY)[:-2] + b'SEFH' + b'\0' * 64,
    'white corner, in place of the end marker': encode('.jpg', GREY | 127)[:-2]
    + b'SEFH'
    + b'\0' * 64,
    'WebP': pillow('WEBP', lossless=True) + TRAILER,
    'WebP, animated': pillow('WEBP', save_all=True, append_images=[Image.new('RGB', (128, 96))]),
    'TIFF of two pages': pillow('TIFF', save_all=True, append_images=[Image.new('RGB', (9, 9))]),
    'BMP with a trailer': pillow('BMP') + TRAILER,
    'GIF of two frames': pillow('GIF', save_all=True, append_images=[Image.new('RGB', (128, 96))]),
}
TRUNCATED = {
    'half': JPG[: len(JPG) // 2],
    'nine tenths': JPG[: len(JPG) * 9 // 10],
    'thumbnail behind': JPG[: len(JPG) // 2] + SMALL,
    'zeros behind': JPG[: len(JPG) // 2] + b'\0' * 3000,
    'noise behind': JPG[: len(JPG) // 2] + TRAILER,
    'header only': JPG[:100],
    'progressive': PROGRESSIVE[: len(PROGRESSIVE) // 2],
    'progressive, thumbnail behind': PROGRESSIVE[: len(PROGRESSIVE) // 2] + SMALL,
    'restart markers': RESTARTS[: len(RESTARTS) // 2] + SMALL,
    'PNG': PNG[: len(PNG) // 2],
    'PNG, end behind': PNG[: len(PNG) // 2] + PNG[-12:],
    'PNG, a byte changed': PNG[:200] + bytes([PNG[200] ^ 1]) + PNG[201:],
    'empty': b'',
    'cut, with an end': JPG[: len(JPG) // 2] + b'\xff\xd9',
    'three quarters, with an end': JPG[: len(JPG) * 3 // 4] + b'\xff\xd9',
    'cut at a restart, with an end': RESTARTS[: RESTARTS.rindex(b'\xff\xd2')] + b'\xff\xd9',
    'before the scan': JPG[:2] + THUMBNAIL + JPG[2:SCAN],
    'first of two images': (JPG[: len(JPG) // 2] + JPG),
    'PNG, interlaced': png(8, 2, PASSES, 1)[:9000],
    'PNG, pixels are missing': png(8, 2, PASSES[:40]),
    **{f'progressive, at marker {n}': PROGRESSIVE[:n] for n in MARKERS},
    **{f'progressive, in the scan of {n}': PROGRESSIVE[: n + 30] for n in MARKERS},
}


@pytest.mark.parametrize('name', SOUND)
def test_sound_images_have_the_pixels_that_opencv_reads(name, tmp_path):
    file = tmp_path / 'image'
    file.write_bytes(SOUND[name])
    expected = cv2.imread(str(file))
    found = LoadImageFromFile()({'img_path': str(file)})['img']
    np.testing.assert_array_equal(found, expected)
    if 'grey' not in name and 'white' not in name:
        assert np.abs(found.astype(int) - IMAGE).mean() < 8
    if name.startswith('PNG'):
        np.testing.assert_array_equal(found, IMAGE)


@pytest.mark.parametrize('name', TRUNCATED)
def test_truncated_images_are_refused_by_name(name, tmp_path):
    file = tmp_path / 'cut.jpg'
    file.write_bytes(TRUNCATED[name])
    with pytest.raises(
        DataError, match=r'image .*cut\.jpg cannot be read: .*(trunc|damaged|empty|decoded)'
    ):
        LoadImageFromFile()({'img_path': str(file)})


@pytest.mark.parametrize('content', [JPG, PROGRESSIVE, RESTARTS, PNG])
def test_images_are_refused_wherever_they_are_cut(content):
    for end in [*range(800), *range(800, len(content) - 2, 97)]:
        with pytest.raises(DataError):
            decode_image(content[:end])


@pytest.mark.parametrize('keep', [0.3, 0.5, 0.95])
@pytest.mark.parametrize(
    ('kind', 'options'),
    [('WEBP', {}), ('WEBP', dict(lossless=True)), ('BMP', {}), ('GIF', {}), ('PPM', {}),
     *(('TIFF', dict(compression=name)) for name in (None, 'tiff_lzw', 'jpeg', 'packbits'))],
)  # fmt: skip
def test_other_formats_are_refused_where_they_are_truncated(kind, options, keep):
    content = pillow(kind, **options)
    assert decode_image(content).shape == IMAGE.shape
    with pytest.raises(DataError, match='is not an image that can be decoded'):
        decode_image(content[: int(keep * len(content))])


@pytest.mark.parametrize('content', [b'<!DOCTYPE html>', b'{"error": 404}', b'version https://git'])
def test_what_is_no_image_is_quoted(content):
    for read in (decode_image, read_header):
        with pytest.raises(DataError, match=re.escape(f'it begins with {content[:9]!r}'[:-1])):
            read(content + bytes(99))


RAMP = np.tile(np.linspace(0, 65535, 128), (96, 1)).astype(np.uint16)
FULL = np.full_like(RAMP, 65535)


def rows(*channels):
    return [row.astype('>u2').tobytes() for row in np.dstack(channels)]


DEEP = {
    'grey': lambda v: png(16, 0, rows(v)),
    'grey with alpha': lambda v: png(16, 4, rows(v, FULL)),
    'RGB': lambda v: png(16, 2, rows(v, v, v)),
    'RGB with alpha': lambda v: png(16, 6, rows(v, v, v, FULL)),
    'PGM': lambda v: b'P5\n128 96\n65535\n' + b''.join(rows(v)),
    'PPM': lambda v: b'P6\n128 96\n65535\n' + b''.join(rows(v, v, v)),
    'TIFF': lambda v: encode('.tiff', v),
}


@pytest.mark.parametrize('kind', DEEP)
def test_16_bits_are_read_if_their_range_is_used(kind):
    expected = np.repeat((RAMP >> 8).astype(np.uint8)[..., None], 3, 2)
    np.testing.assert_array_equal(decode_image(DEEP[kind](RAMP)), expected)
    with pytest.raises(DataError, match='no value above 4095, and would be loaded almost black'):
        decode_image(DEEP[kind](RAMP >> 4))


def test_few_bits_are_spread_over_the_range():
    image = decode_image(png(2, 0, [b'\x1b'] * 8, width=4))
    np.testing.assert_array_equal(image[..., 0], [[0, 85, 170, 255]] * 8)


def test_images_above_the_limit_of_pillow_are_read():
    """Aerial images and scans of microscopes have more than 179 million pixels."""
    content = png(1, 0, [bytes(1875)] * 12_000, width=15_000)
    assert read_header(content).shown == (15_000, 12_000)


@pytest.mark.parametrize('suffix', ['.png', '.tiff'])
@pytest.mark.parametrize('bits', [10, 12, 14])
def test_cameras_of_10_to_14_bits_are_refused(suffix, bits, tmp_path):
    file = tmp_path / f'ramp{suffix}'
    ramp = np.tile(np.linspace(0, 2**bits - 1, 128), (96, 1)).astype(np.uint16)
    cv2.imwrite(str(file), ramp)
    with pytest.raises(DataError, match=rf'ramp{suffix} .* no value above {2**bits - 1}'):
        LoadImageFromFile()({'img_path': str(file)})


def test_16_bits_of_full_range_are_read_and_floats_refused(tmp_path):
    ramp = np.tile(np.linspace(0, 1, 128), (96, 1))
    cv2.imwrite(str(tmp_path / 'a.png'), (ramp * 65535).astype(np.uint16))
    image = LoadImageFromFile()({'img_path': str(tmp_path / 'a.png')})['img']
    assert image.shape == (96, 128, 3) and image.max() == 255 and abs(image.mean() - 127) < 1
    cv2.imwrite(str(tmp_path / 'b.tiff'), ramp.astype(np.float32))
    with pytest.raises(DataError, match='floating-point numbers of 32 bits'):
        LoadImageFromFile()({'img_path': str(tmp_path / 'b.tiff')})


def oriented(file, orientation, mode='RGB'):
    image = Image.fromarray(np.ascontiguousarray(IMAGE[..., ::-1])).convert(mode)
    exif = image.getexif()
    exif[0x0112] = orientation
    lossless = dict(lossless=True) if file.suffix == '.webp' else {}
    image.save(file, exif=exif, **lossless)
    return str(file)


@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.webp', '.tiff'])
@pytest.mark.parametrize('orientation', range(1, 9))
def test_header_gives_the_shown_size(orientation, suffix, tmp_path):
    path = oriented(tmp_path / f'a{suffix}', orientation)
    header = read_header(path)
    assert header[:2] == (128, 96) and header.orientation == orientation
    shown = np.asarray(ImageOps.exif_transpose(Image.open(path)))[..., ::-1]
    assert header.shown == shown.shape[1::-1]
    np.testing.assert_array_equal(LoadImageFromFile()(dict(img_path=path))['img'], shown)


@pytest.mark.parametrize('kind', ['.jpg', '.jpg L', '.jpg CMYK', '.png', '.webp'])
@pytest.mark.parametrize('orientation', [5, 6, 7, 8])
def test_the_stated_size_decides_whether_an_orientation_is_applied(orientation, kind, tmp_path):
    suffix, *mode = kind.split()
    path = oriented(tmp_path / f'a{suffix}', orientation, *mode)
    load = LoadImageFromFile()
    stored = load(dict(img_path=path, width=128, height=96))['img']
    shown = load(dict(img_path=path, width=96, height=128))['img']
    plain = cv2.imread(path, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    np.testing.assert_array_equal(stored, plain)
    np.testing.assert_array_equal(shown, cv2.imread(path))
    with pytest.raises(DataError, match='its size is 96 x 128, but its annotations are for an '):
        load(dict(img_path=path, width=100, height=100))


@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.webp', '.tiff'])
@pytest.mark.parametrize('orientation', [2, 3, 4])
def test_an_orientation_that_sizes_do_not_decide_is_refused_with_annotations(
    orientation, suffix, tmp_path
):
    path = oriented(tmp_path / f'a{suffix}', orientation)
    load = LoadImageFromFile()
    np.testing.assert_array_equal(load(dict(img_path=path))['img'], cv2.imread(path))
    for annotation in (dict(width=128, height=96), dict(seg_map_path='a.png')):
        with pytest.raises(DataError, match=rf'a{suffix} .* EXIF orientation is {orientation}'):
            load(dict(img_path=path, **annotation))
    stored = LoadImageFromFile(color_type='color_ignore_orientation')
    stored(dict(img_path=path, width=128, height=96))
