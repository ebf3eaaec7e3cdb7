"""Figures of the layer analysis show the numbers that they are given."""

import cv2
import numpy as np
import pytest
from matplotlib import colormaps

from mmlite.analysis.figures import draw_heads, draw_maps, draw_similarity
from mmlite.visualization import LINE_COLORS


def decode(png):
    """RGB picture of the bytes of a PNG."""
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)[..., ::-1].astype(int)


def where(picture, colour, tolerance=2):
    """Rows and columns of the pixels of a colour, 0 to 1."""
    wanted = np.round(255 * np.asarray(colour[:3]))
    return np.nonzero((abs(picture - wanted) <= tolerance).all(axis=-1))


def test_similarity_has_its_origin_below():
    """One cell of 0.6 at layer 2 of the model and layer 0 of the reference, one not defined."""
    values = np.full((4, 3), 0.2)
    values[2, 0] = 0.6
    values[0, 2] = np.nan
    picture = decode(draw_similarity('reference', {'one': values, 'two': np.full((4, 3), 0.2)}))
    magma = colormaps['magma']
    background = where(picture, magma(0.2))
    for colour, (row, column) in ((magma(0.6), (2, 0)), ((0.8, 0.8, 0.8), (0, 2))):
        y, x = where(picture, colour)
        left = x < picture.shape[1] * 0.5  # the colour bar has these colours, too
        y, x = np.median(y[left]), np.median(x[left])
        one = background[1] < picture.shape[1] * 0.5
        top, bottom = background[0][one].min(), background[0][one].max()
        first, last = background[1][one].min(), background[1][one].max()
        assert (bottom - y) / (bottom - top) * 4 == pytest.approx(row + 0.5, abs=0.1)
        assert (x - first) / (last - first) * 3 == pytest.approx(column + 0.5, abs=0.1)


def test_models_are_side_by_side_in_their_colours():
    """The second model, higher up and to the right of the first, has no first block."""
    rng = np.random.default_rng(0)
    low = {block: rng.uniform(1, 2, 12) for block in range(3)}
    high = {block: rng.uniform(4, 5, 4) for block in (1, 2)}
    panels = {'distance': {'low': low, 'high': high}, 'entropy': {'low': high, 'high': low}}
    picture = decode(draw_heads(panels, [3.0, None]))
    upper = picture[: picture.shape[0] // 2]
    legend = where(upper, LINE_COLORS[1])[0].min() + 25
    y, x = zip(*(where(upper[legend:], colour) for colour in LINE_COLORS[:2]), strict=True)
    assert y[0].min() > y[1].max()
    assert x[0].min() < x[1].min() and x[0].max() < x[1].max()
    for columns, boxes in zip(x, (3, 2), strict=True):
        gaps = np.diff(np.unique(columns)) > 10
        assert 1 + gaps.sum() == boxes


def test_maps_frame_the_patch_that_attends():
    image = np.full((32, 32, 3), 90, np.uint8)
    peak = np.zeros((4, 4))
    peak[3, 0] = 1
    cells = {0: np.array([8, 0, 8]), 1: np.array([16, 16, 16])}
    models = {'model': ({0: peak, 1: np.ones((2, 2))}, cells), 'other': ({1: peak}, cells)}
    picture = decode(draw_maps(image, (12, 4), models, 'caption'))
    half = picture[: picture.shape[0] // 2]
    y, x = where(half, (0, 1, 1), 0)
    blocks = np.split(np.unique(x), np.nonzero(np.diff(np.unique(x)) > 40)[0] + 1)
    sides = [block.max() - block.min() for block in blocks]
    assert len(sides) == 2 and sides[1] == pytest.approx(2 * sides[0], rel=0.1)
    bright = where(half, colormaps['magma'](1.0))
    assert bright[1].min() < blocks[0].min() and bright[0].max() > y.min()
    assert len(where(half, (90 / 255,) * 3)[0])
