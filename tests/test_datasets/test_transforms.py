"""Loading names bad images; color jitter against Pillow, whose functions are torchvision's."""

import cv2
import mmcv
import numpy as np
import pytest
from mmcv.transforms import LoadImageFromFile as StockLoadImageFromFile
from PIL import Image, ImageEnhance

from mmlite.datasets import ColorJitter, LoadImageFromFile
from mmlite.errors import DataError

IMAGE = cv2.resize(
    np.random.default_rng(0).integers(0, 255, (12, 16, 3), dtype=np.uint8), (160, 120)
)


def write(folder, name, keep=1.0, tail=b''):
    content = cv2.imencode(name[-4:], IMAGE)[1].tobytes()
    file = folder / name
    file.write_bytes(content[: int(keep * len(content))] + tail)
    return str(file)


@pytest.mark.parametrize('name', ['a.jpg', 'a.png', 'a.bmp'])
def test_sound_images_load_as_mmcv_loads_them(name, tmp_path):
    path = write(tmp_path, name)
    ours, stock = (
        cls(to_float32=True)(dict(img_path=path))
        for cls in (LoadImageFromFile, StockLoadImageFromFile)
    )
    np.testing.assert_array_equal(ours.pop('img'), stock.pop('img'))
    assert ours == stock


def test_a_thumbnail_does_not_hide_a_truncation_and_data_may_follow_the_end(tmp_path):
    thumbnail = b'\xff\xd8 \xff\xda \xff\xd9'
    content = cv2.imencode('.jpg', IMAGE)[1].tobytes()
    header = b'\xff\xe1' + (len(thumbnail) + 2).to_bytes(2, 'big') + thumbnail
    file = tmp_path / 'a.jpg'
    file.write_bytes(content[:2] + header + content[2:])
    load = LoadImageFromFile()
    for tail in (b'\0' * 9, b'appended by a camera \xff\x00', b'\xff\xda\xff\xd9'):
        path = write(tmp_path, 'b.jpg', tail=tail)
        assert load(dict(img_path=path))['img'].shape == (120, 160, 3)
    assert load(dict(img_path=str(file)))['img'].shape == (120, 160, 3)
    file.write_bytes(content[:2] + header + content[2:-2])
    with pytest.raises(DataError, match='the JPEG is truncated'):
        load(dict(img_path=str(file)))


@pytest.mark.parametrize(
    ('name', 'keep', 'reason'),
    [
        ('a.jpg', 0.99, 'the JPEG is truncated: its pixels end too early'),
        ('a.png', 0.95, r'the PNG is truncated \(no IEND chunk\)'),
        ('a.bmp', 0.9, 'it is not an image that can be decoded'),
        ('a.jpg', 0, 'the file is empty'),
        (None, 0, 'FileNotFoundError: '),
    ],
)
def test_bad_images_are_named(name, keep, reason, tmp_path):
    path = write(tmp_path, name, keep) if name else str(tmp_path / 'gone.png')
    with pytest.raises(DataError, match=rf'^image {path} cannot be read: {reason}'):
        LoadImageFromFile()(dict(img_path=path))


# ---- color jitter ----------------------------------------------------------------------------

X, Y = np.meshgrid(np.linspace(0, 255, 64), np.linspace(0, 255, 48))
HUES = np.stack([X, Y, 255 - (X + Y) / 2], axis=-1).astype(np.uint8)  # BGR, smooth


def near(a, b, tolerance=3):
    return np.abs(a.astype(int) - b.astype(int)).max() <= tolerance


@pytest.mark.parametrize(
    ('name', 'enhance'),
    [
        ('brightness', ImageEnhance.Brightness),
        ('contrast', ImageEnhance.Contrast),
        ('saturation', ImageEnhance.Color),
    ],
)
@pytest.mark.parametrize('factor', [0.6, 1.4])
def test_factors_are_those_of_pillow(name, enhance, factor):
    got = ColorJitter(**{name: (factor, factor)})(dict(img=HUES))['img']
    want = np.asarray(enhance(Image.fromarray(HUES[..., ::-1])).enhance(factor))[..., ::-1]
    assert got.dtype == np.uint8 and near(got, want)
    assert not near(got, HUES, 10)


@pytest.mark.parametrize('turn', [0.1, -0.5])
def test_hues_turn_both_ways(turn):
    got = ColorJitter(hue=(turn, turn))(dict(img=HUES))['img']
    assert not near(got, HUES, 10)
    assert near(got, mmcv.adjust_hue(HUES, turn, backend='cv2'), 0)
    back = ColorJitter(hue=(-turn, -turn))(dict(img=got))['img']
    assert near(back, HUES, 16)  # 256 hues are 6 steps of a channel apart


def test_factors_are_drawn_for_every_image():
    np.random.seed(0)
    jitter = ColorJitter(0.4, 0.4, 0.2, 0.1)
    drawn = np.array([jitter._rand_params()[1:] for _ in range(400)])
    np.testing.assert_allclose(drawn.min(0), [0.6, 0.6, 0.8, -0.1], atol=0.01)
    np.testing.assert_allclose(drawn.max(0), [1.4, 1.4, 1.2, 0.1], atol=0.01)
    before = HUES.copy()
    seen = {jitter(dict(img=HUES))['img'].tobytes() for _ in range(20)}
    assert len(seen) == 20 and np.array_equal(HUES, before)
