"""Frames of a contact sheet: which, and what is drawn upon them."""

import numpy as np
import pytest

from mmlite.visualization import (
    PALETTE,
    TILE,
    EvenSubsampler,
    draw_targets,
    track_sheet,
)
from mmlite.visualization.tracks import TRUTH


@pytest.mark.parametrize('count', [1, 5, 12, 13, 24, 100, 1001])
def test_items_of_a_stream_are_spread_evenly(count):
    stream, made = EvenSubsampler(), []
    for number in range(count):
        stream.offer(lambda number=number: made.append(number) or number)
    items = stream.items()
    assert items[0] == 0 and len(items) == min(count, 12)
    steps = {after - before for before, after in zip(items, items[1:], strict=False)}
    assert not steps or max(steps) <= 2 * min(steps)
    assert items[-1] >= count * 0.7 or count < 3
    assert len(made) < 24 + 12 * 8  # drawing a tile costs time


def test_boxes_are_drawn_where_they_are():
    frame = np.full((320, 640, 3), 100, np.uint8)
    drawn = draw_targets(frame, [[100, 50, 40, 20], [300, 50, 40, 20]], truth=[400, 200, 60, 60])
    assert drawn.shape == frame.shape and (frame == 100).all()
    for x, y, color in ((100, 60, PALETTE[0]), (300, 60, PALETTE[2]), (460, 230, TRUTH)):
        np.testing.assert_array_equal(drawn[y, x], color)
    np.testing.assert_array_equal(drawn[60, 120], [100] * 3)
    empty = draw_targets(frame, [], truth=[np.nan, 0, 5, 5])
    np.testing.assert_array_equal(empty, frame)


def test_a_sheet_has_a_legend_of_what_is_drawn():
    tile = draw_targets(np.zeros((60, 120, 3), np.uint8), [[10, 10, 50, 30]], sides=TILE)
    assert tile.shape == (150, 300, 3)
    sheet = track_sheet('video\n5 frames', [tile] * 5, truth=True)
    assert sheet.shape[1] == 4 * 306 + 6
    legend = sheet[-24:].reshape(-1, 3).tolist()
    assert list(PALETTE[0]) in legend and list(TRUTH) in legend
