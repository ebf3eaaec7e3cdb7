"""Truncated images are refused, sound ones with anything behind their end are read."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from mmlite.datasets import LoadImageFromFile
from mmlite.datasets.formats.images import check_complete, read_header
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
}


@pytest.mark.parametrize('name', SOUND)
def test_sound_images_have_the_pixels_that_opencv_reads(name, tmp_path):
    file = tmp_path / 'image'
    file.write_bytes(SOUND[name])
    expected = IMAGE if 'PNG' in name else cv2.imdecode(np.frombuffer(JPG, np.uint8), 1)
    if name in ('progressive', 'restart markers'):
        expected = cv2.imread(str(file))
    np.testing.assert_array_equal(LoadImageFromFile()({'img_path': str(file)})['img'], expected)


@pytest.mark.parametrize('name', TRUNCATED)
def test_truncated_images_are_refused_by_name(name, tmp_path):
    file = tmp_path / 'cut.jpg'
    file.write_bytes(TRUNCATED[name])
    with pytest.raises(
        DataError, match=r'image .*cut\.jpg cannot be read: .*(trunc|damaged|empty)'
    ):
        LoadImageFromFile()({'img_path': str(file)})


@pytest.mark.parametrize('suffix', ['.webp', '.bmp', '.tiff', '.gif'])
def test_other_formats_are_whole_if_pillow_reads_them(suffix):
    buffer = io.BytesIO()
    Image.fromarray(IMAGE).save(buffer, suffix[1:])
    content = buffer.getvalue()
    check_complete(content)
    with pytest.raises(DataError, match='cannot|can be decoded'):
        check_complete(content[: len(content) // 2])


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


def oriented(file, orientation):
    image = Image.fromarray(np.ascontiguousarray(IMAGE[..., ::-1]))
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(file, exif=exif, quality=95)
    return str(file)


@pytest.mark.parametrize('orientation', range(1, 9))
def test_header_gives_the_shown_size(orientation, tmp_path):
    header = read_header(oriented(tmp_path / 'a.jpg', orientation))
    assert header[:2] == (128, 96) and header.orientation == orientation
    shown = cv2.imread(str(tmp_path / 'a.jpg')).shape[1::-1]
    assert header.shown == shown


@pytest.mark.parametrize('orientation', [5, 6, 7, 8])
def test_the_stated_size_decides_whether_an_orientation_is_applied(orientation, tmp_path):
    path = oriented(tmp_path / 'a.jpg', orientation)
    load = LoadImageFromFile()
    stored = load(dict(img_path=path, width=128, height=96))['img']
    shown = load(dict(img_path=path, width=96, height=128))['img']
    plain = cv2.imread(path, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    np.testing.assert_array_equal(stored, plain)
    np.testing.assert_array_equal(shown, cv2.imread(path))
    with pytest.raises(DataError, match='its size is 96 x 128, but its annotations are for an '):
        load(dict(img_path=path, width=100, height=100))


@pytest.mark.parametrize('orientation', [2, 3, 4])
def test_an_orientation_that_sizes_do_not_decide_is_refused_with_annotations(orientation, tmp_path):
    path = oriented(tmp_path / 'a.jpg', orientation)
    load = LoadImageFromFile()
    np.testing.assert_array_equal(load(dict(img_path=path))['img'], cv2.imread(path))
    for annotation in (dict(width=128, height=96), dict(seg_map_path='a.png')):
        with pytest.raises(DataError, match=rf'a\.jpg .* EXIF orientation is {orientation}'):
            load(dict(img_path=path, **annotation))
    stored = LoadImageFromFile(color_type='color_ignore_orientation')
    stored(dict(img_path=path, width=128, height=96))
