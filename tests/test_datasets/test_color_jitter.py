"""Colour jitter against mmcv's Pillow functions, which are torchvision's."""

import mmcv
import numpy as np
import pytest
from PIL import Image, ImageEnhance

from mmlite.datasets import ColorJitter


@pytest.fixture
def image():
    """BGR, smooth, with all hues."""
    x, y = np.meshgrid(np.linspace(0, 255, 64), np.linspace(0, 255, 48))
    return np.stack([x, y, 255 - (x + y) / 2], axis=-1).astype(np.uint8)


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
def test_factors_are_those_of_pillow(image, name, enhance, factor):
    got = ColorJitter(**{name: (factor, factor)})(dict(img=image))['img']
    want = np.asarray(enhance(Image.fromarray(image[..., ::-1])).enhance(factor))[..., ::-1]
    assert got.dtype == np.uint8 and near(got, want)
    assert not near(got, image, 10)


@pytest.mark.parametrize('turn', [0.1, -0.5])
def test_hues_turn_both_ways(image, turn):
    got = ColorJitter(hue=(turn, turn))(dict(img=image))['img']
    assert not near(got, image, 10)
    if turn > 0:  # what mmcv can do with NumPy 2
        assert near(got, mmcv.adjust_hue(image, turn, backend='cv2'), 0)
    back = ColorJitter(hue=(-turn, -turn))(dict(img=got))['img']
    assert near(back, image, 16)  # 256 hues are 6 steps of a channel apart


def test_factors_are_drawn_for_every_image(image):
    np.random.seed(0)
    jitter = ColorJitter(0.4, 0.4, 0.2, 0.1)
    drawn = np.array([jitter._rand_params()[1:] for _ in range(400)])
    np.testing.assert_allclose(drawn.min(0), [0.6, 0.6, 0.8, -0.1], atol=0.01)
    np.testing.assert_allclose(drawn.max(0), [1.4, 1.4, 1.2, 0.1], atol=0.01)
    before = image.copy()
    seen = {jitter(dict(img=image))['img'].tobytes() for _ in range(20)}
    assert len(seen) == 20 and np.array_equal(image, before)
