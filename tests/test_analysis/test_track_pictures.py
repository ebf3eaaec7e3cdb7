"""What is kept of a stream of frames for a contact sheet."""

import pytest

from mmlite.analysis.track_pictures import Spaced, spread


@pytest.mark.parametrize('count', [1, 5, 12, 13, 24, 100, 1001])
def test_items_of_a_stream_are_spread_evenly(count):
    stream, made = Spaced(12), []
    for number in range(count):
        stream.offer(lambda number=number: made.append(number) or number)
    items = stream.items()
    assert items[0] == 0 and len(items) == min(count, 12)
    steps = {after - before for before, after in zip(items, items[1:], strict=False)}
    assert not steps or max(steps) <= 2 * min(steps)
    assert items[-1] >= count * 0.7 or count < 3
    assert len(made) < 24 + 12 * 8  # drawing a tile costs time


def test_indices_go_from_the_first_to_the_last():
    assert spread(3) == [0, 1, 2]
    assert spread(100, 5) == [0, 25, 50, 74, 99]
    assert spread(1) == [0]
