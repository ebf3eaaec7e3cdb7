"""Crops and boxes of the tracker: golden values, plain slow versions, round trips."""

import itertools
import math

import cv2
import golden
import numpy as np
import pytest

from mmlite.datasets.sot.geometry import (
    CropWindow,
    box_to_crop,
    box_to_image,
    clip_box,
    cut_crop,
    plan_crop,
    shows_image,
)
from mmlite.errors import DataError

GOLDEN = golden.load('track_utils')
HEIGHT, WIDTH = GOLDEN['image_shape'][:2]
FORMATS = ((128, 2.0), (256, 4.0))

BOXES = {
    'centre': (100, 70, 40, 30),
    'left': (-10, 70, 40, 30),
    'right': (215, 70.25, 40, 30),
    'top': (100, -8, 40, 30),
    'bottom': (100.5, 160, 40, 30),
    'top left': (-5, -6, 20, 20),
    'bottom right': (225, 170, 20, 20),
    'larger than the frame': (-50, -40, 400, 300),
    'one pixel': (120, 90, 1, 1),
    'thin': (30, 60, 2.5, 100),
    'outside, left': (-300, 60, 20, 20),
    'outside, below': (100, 500, 20, 20),
    'touches the border': (200, 60, 20, 20),
}


@pytest.fixture(scope='module')
def image():
    rng = np.random.default_rng(GOLDEN['image_seed'])
    return rng.integers(0, 256, tuple(GOLDEN['image_shape']), dtype=np.uint8)


def plain_window(box, factor):
    """Corner and side of a crop, as the formula reads."""
    x, y, w, h = box
    side = math.ceil(math.sqrt(w * h) * factor)
    return round(x + 0.5 * w - side * 0.5), round(y + 0.5 * h - side * 0.5), side


def plain_patch(image, x, y, side):
    """The crop before resizing and its padding mask, pixel by pixel."""
    height, width = image.shape[:2]
    # where a window reaches the right or bottom border, the last column or row is padding
    last_x = width - 1 if x + side >= width else width
    last_y = height - 1 if y + side >= height else height
    patch = np.zeros((side, side, 3), np.uint8)
    padding = np.ones((side, side))
    for row, column in itertools.product(range(side), repeat=2):
        if 0 <= y + row < last_y and 0 <= x + column < last_x:
            patch[row, column] = image[y + row, x + column]
            padding[row, column] = 0
    return patch, padding


@pytest.mark.parametrize(('size', 'factor'), FORMATS)
@pytest.mark.parametrize('index', range(len(GOLDEN['boxes'])))
def test_crops_are_those_of_the_official_code(image, index, size, factor):
    window = plan_crop(GOLDEN['boxes'][index], factor, size)
    assert window.scale == pytest.approx(float(GOLDEN[f'resize{index}_{size}']), abs=1e-12)
    crop = cut_crop(image, window)
    assert crop.shape == (size, size, 3) and crop.dtype == np.uint8
    np.testing.assert_array_equal(crop[::3, ::3], GOLDEN[f'crop{index}_{size}'])


@pytest.mark.parametrize(('size', 'factor'), FORMATS)
@pytest.mark.parametrize('box', BOXES.values(), ids=BOXES)
def test_crop_equals_the_plain_version(image, box, size, factor):
    before = image.copy()
    window = plan_crop(box, factor, size)
    assert (window.x, window.y, window.side) == plain_window(box, factor)
    patch, padding = plain_patch(image, window.x, window.y, window.side)
    expected = cv2.resize(patch, (size, size), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(cut_crop(image, window), expected)
    np.testing.assert_array_equal(image, before)
    cells = cv2.resize(padding, (size, size)).astype(bool)[::16, ::16]
    assert shows_image(image.shape, window) == (not cells.all())


def test_half_pixels_round_to_even():
    assert plan_crop((0, 0, 3, 3), 2.0, 128) == CropWindow(-2, -2, 6, 128)  # from -1.5
    assert plan_crop((1, 1, 3, 3), 2.0, 128) == CropWindow(0, 0, 6, 128)  # from -0.5


@pytest.mark.parametrize('box', [
    (1, 2, 0, 5), (1, 2, -3, -4), (math.nan, 2, 3, 4), (1, 2, 3, math.nan), (1, math.inf, 3, 4),
    (1, 2, 1e200, 1e200), (-1e6, -1e6, 2e6, 2e6), (0, 0, 1e9, 1),
])  # fmt: skip
def test_box_that_cannot_be_cropped_around(box):
    with pytest.raises(DataError, match='box x=.* cannot be cropped around'):
        plan_crop(box, 4.0, 256)


@pytest.mark.parametrize(('coords', 'slip'), [('exact', 0), ('ostrack', 0.5)])
def test_round_trip_is_exact_or_half_a_crop_pixel_off(coords, slip):
    rng = np.random.default_rng(0)
    for _ in range(40):
        box = (*rng.uniform(-20, 200, 2), *rng.uniform(5, 90, 2))
        around = tuple(np.add(box, rng.uniform(-4, 4, 4)))
        window = plan_crop(around, 4.0, 256)
        x, y, w, h = label = box_to_crop(box, around, window, coords)
        back = box_to_image((x + w / 2, y + h / 2, w, h), around, window, coords)
        shift = slip / window.scale
        np.testing.assert_allclose(back, np.subtract(box, (shift, shift, 0, 0)), atol=1e-9)
        assert all(type(value) is float for value in (*label, *back))


def test_ostrack_prediction_by_the_formula():
    around = (100.0, 60.0, 40.0, 50.0)
    window = plan_crop(around, 4.0, 256)  # a side of ceil(sqrt(40 * 50) * 4) = 179
    found = box_to_image((0.5, 0.5, 0.25, 0.5), around, window, 'ostrack')
    np.testing.assert_allclose(found, (120 - 179 / 8, 85 - 179 / 4, 179 / 4, 179 / 2), atol=1e-12)


@pytest.mark.parametrize(('box', 'clipped'), [
    ((20, 30, 40, 50), (20, 30, 40, 50)),  # inside
    ((-15, 30, 40, 50), (0, 30, 25, 50)),  # cut, not shifted
    ((-10, -10, 300, 300), (0, 0, 240, 180)),  # larger than the frame
    ((235, 175, 40, 50), (230, 170, 10, 10)),  # all but out at the bottom right
    ((-500, -500, 40, 50), (0, 0, 10, 10)),  # entirely out
    ((50, 60, -4, 0), (50, 60, 10, 10)),  # never below the margin
    ((0.25, 0.5, 20.5, 30.25), (0.25, 0.5, 20.5, 30.25)),  # not rounded
])  # fmt: skip
def test_clip(box, clipped):
    found = clip_box(box, (180, 240, 3))
    assert found == pytest.approx(clipped, abs=1e-12)
    assert all(type(value) is float for value in found)
