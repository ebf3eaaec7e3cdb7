"""Images in a grid."""

import numpy as np
import pytest

from mmlite.utils import image_grid
from mmlite.utils.images import LINE, put_text, warn_of_font

GAP = 6


def filled(height, width, value):
    return np.full((height, width, 3), value, np.uint8)


def test_images_lie_in_rows_on_white():
    sizes = [(10, 30), (20, 15), (5, 40)]
    images = [filled(*size, 10 * n) for n, size in enumerate(sizes)]
    grid = image_grid(images, columns=2)
    assert grid.shape == (GAP + 20 + GAP + 5 + GAP, GAP + 40 + GAP + 15 + GAP, 3)
    expected = np.full_like(grid, 255)
    for image, (y, x) in zip(images, [(6, 6), (6, 52), (32, 6)], strict=True):
        expected[y : y + image.shape[0], x : x + image.shape[1]] = image
    np.testing.assert_array_equal(grid, expected)
    np.testing.assert_array_equal(image_grid(images[:1], gap=0), images[0])


def test_captions_title_and_legend_add_lines():
    image = filled(50, 200, 0)
    grid = image_grid(
        [image] * 4, ['first', 'second'], 2, title='title\nmore', legend=[('a', (1, 2, 3))]
    )
    above = (LINE + 6) + LINE
    assert len(grid) == above + (LINE + 50) + (GAP + 50) + GAP + LINE
    top = above + LINE
    np.testing.assert_array_equal(grid[top : top + 50, GAP : GAP + 200], image)
    for text in (grid[:30], grid[30:54], grid[54:78, :200], grid[54:78, 212:], grid[-LINE:]):
        assert text.min() < 120
    assert (grid[-LINE:] == (1, 2, 3)).all(-1).sum() > 200
    assert (grid[above - 4 : above, :] == 255).all()


def test_a_long_legend_breaks_into_lines():
    legend = [(f'class number {n}', (n, 200, 255 - n)) for n in range(40)]
    grid = image_grid([filled(9, 320, 0)], legend=legend)
    lines = grid[GAP + 9 + GAP :]
    assert len(lines) % LINE == 0 and len(lines) > 5 * LINE
    assert all((lines == color).all(-1).any() for _, color in legend)


def test_letters_without_a_font_are_reported_once():
    warn_of_font.cache_clear()
    with pytest.warns(UserWarning, match='font') as warned:
        for name in ('red', '红色', '绿色'):
            put_text(filled(30, 90, 0), name, (2, 20))
    assert len(warned) == 1
