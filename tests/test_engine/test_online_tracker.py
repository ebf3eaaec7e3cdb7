"""Frame by frame: the tracker against a plain slow version, bad input, and how little it does."""

import numpy as np
import pytest
import tiny_tracker
import torch

from mmlite.datasets.sot.geometry import cut_crop, plan_crop
from mmlite.engine.tracking import OnlineTracker
from mmlite.errors import ArgumentError, CheckpointError, DataError
from mmlite.registry import MODELS


@pytest.fixture
def finder():
    return tiny_tracker.RectangleFinder().eval()


def tiny_ostrack(**options):
    """An OSTrack of two narrow blocks with random weights, in evaluation mode."""
    torch.manual_seed(0)
    return MODELS.build(tiny_tracker.OSTRACK | options).eval()


def follow(tracker, boxes, frames=None):
    """Boxes and scores in all frames behind the first."""
    frames = frames or [tiny_tracker.draw(box) for box in boxes]
    targets = tracker.start(frames[:1], boxes[:1])
    found = [tracker.step(targets, [frame]) for frame in frames[1:]]
    return np.array([box for (box,), _ in found]), np.array([score for _, (score,) in found])


def slow_track(model, frames, box):
    """One target, one frame at a time, by the model's own preprocessing and arrays of float64."""

    def images(frame, box, kind):
        size, factor = getattr(model, f'{kind}_size'), getattr(model, f'{kind}_factor')
        window = plan_crop(box, factor, size)
        crops = torch.from_numpy(cut_crop(frame, window).transpose(2, 0, 1).copy())[None]
        images = model.data_preprocessor(dict(inputs=dict(crop=crops)))['inputs']['crop']
        return images, window.side

    with torch.no_grad():
        template = model.embed_template(images(frames[0], box, 'template')[0])
        boxes = []
        for frame in frames[1:]:
            search, side = images(frame, box, 'search')
            cx, cy, w, h, _, _ = model.locate(template, search)[0].double().numpy() * side
            x = box[0] + box[2] / 2 - side / 2 + cx - w / 2
            y = box[1] + box[3] / 2 - side / 2 + cy - h / 2
            height, width = frame.shape[:2]
            right, low = min(max(10, x + w), width), min(max(10, y + h), height)
            x, y = min(max(0, x), width - 10), min(max(0, y), height - 10)
            box = x, y, max(10, right - x), max(10, low - y)
            boxes.append(box)
    return np.array(boxes)


def noise(frames, seed=0):
    generator = np.random.default_rng(seed)
    return [generator.integers(0, 256, (120, 160, 3), np.uint8) for _ in range(frames)]


@pytest.mark.parametrize('elimination', [None, tiny_tracker.CE | dict(blocks=(1,))])
def test_equals_the_plain_slow_version(elimination):
    model = tiny_ostrack(elimination=elimination)
    frames, box = noise(12), (60.25, 40.5, 30.0, 24.5)
    found, _ = follow(OnlineTracker(model), [box], frames)
    np.testing.assert_allclose(found, slow_track(model, frames, box), atol=2e-3)


def test_follows_a_target_below_a_pixel(finder):
    boxes = tiny_tracker.path(200)
    found, scores = follow(OnlineTracker(finder), boxes)
    assert np.abs(found - boxes[1:]).max() < 1
    assert np.abs((found - boxes[1:]).mean(0)).max() < 0.1  # no drift
    assert scores == pytest.approx(1, abs=0.1)  # raw: the window halves the second score
    assert (found % 1 != 0).mean() > 0.9 and found.dtype == np.float64  # never rounded


def test_several_targets_at_once_are_what_each_is_alone():
    boxes = (60.0, 40.0, 30.0, 24.0), (20.5, 30.0, 12.0, 40.0), (100.0, 60.0, 40.0, 30.0)
    frames = [noise(10, seed) for seed in range(3)]
    tracker = OnlineTracker(tiny_ostrack())
    first, *rest = zip(*frames, strict=True)
    targets = tracker.start(first, boxes)
    together = np.array([tracker.step(targets, row)[0] for row in rest])
    alone = [follow(tracker, [box], video)[0] for box, video in zip(boxes, frames, strict=True)]
    np.testing.assert_allclose(together, np.stack(alone, axis=1), atol=1e-3)


def test_a_frame_costs_one_forward_pass_and_the_template_none(finder):
    tracker = OnlineTracker(finder)
    boxes = tiny_tracker.path(2)
    targets = tracker.start([tiny_tracker.draw(boxes[0])] * 2, boxes[[0, 0]])
    for _ in range(3):
        tracker.step(targets, [tiny_tracker.draw(boxes[1])] * 2)
    assert [name for name, _ in finder.calls] == ['embed_template'] + 3 * ['locate']
    assert [len(images) for _, images in finder.calls] == 4 * [2]


@pytest.mark.parametrize('bgr_to_rgb', [True, False])
def test_channels_are_in_the_order_of_the_network(bgr_to_rgb):
    model = tiny_ostrack()
    model.data_preprocessor.bgr_to_rgb = bgr_to_rgb
    frames, box = noise(5), (60.0, 40.0, 30.0, 24.0)
    found, _ = follow(OnlineTracker(model), [box], frames)
    np.testing.assert_allclose(found, slow_track(model, frames, box), atol=2e-3)
    swapped, _ = follow(OnlineTracker(model), [box], [frame[..., ::-1] for frame in frames])
    assert np.abs(swapped - found).max() > 0.01


def test_the_data_type_and_device_of_the_network_are_used(device):
    model = tiny_ostrack().to(device)
    half = tiny_ostrack().to(device).bfloat16()
    frames, box = noise(2), (60.0, 40.0, 30.0, 24.0)
    found, _ = follow(OnlineTracker(model), [box], frames)
    seen = {}
    locate = half.locate
    half.locate = lambda template, search: locate(template, seen.setdefault('search', search))
    follow(OnlineTracker(half), [box], frames)
    assert seen['search'].dtype == torch.bfloat16
    assert seen['search'].device.type == device
    np.testing.assert_allclose(found, slow_track(tiny_ostrack(), frames, box), atol=0.05)


BOXES = {
    (10, 10, 0, 5): 'box x=10, y=10, w=0, h=5 cannot be cropped around: it must be finite and',
    (10, float('nan'), 5, 5): 'y=nan, w=5, h=5 cannot be cropped around: it must be finite and',
    (-1e6, -1e6, 2e6, 2e6): 'have an area of at most 8192 x 8192 pixels',
    (160, 10, 5, 5): 'lies outside the frame of 160x120 pixels',
    (10, 120, 5, 5): 'lies outside the frame',
    (10, 10, 5): 'must be four numbers: x, y, w, h',
}


@pytest.mark.parametrize(('box', 'message'), BOXES.items())
def test_a_bad_init_box_is_one_sentence(box, message, finder):
    frame = tiny_tracker.draw((20, 20, 10, 10))
    with pytest.raises(DataError, match=message):
        OnlineTracker(finder).start([frame], [box])
    (target,) = OnlineTracker(finder).start([frame], [(-4.5, 20, 10, 10)])  # partly outside
    assert target.box == (-4.5, 20, 10, 10)
    with pytest.raises(ArgumentError, match=r'training mode: call its eval\(\) before tracking'):
        OnlineTracker(finder.train()).start([frame], [(9, 9, 9, 9)])


FRAMES = {
    'none': (None, 'the frame is of type NoneType; it must be'),
    'list': ([[1]], 'is of type list; it must be a NumPy array of uint8'),
    'grey': (np.zeros((120, 160), np.uint8), r'has shape \(120, 160\); it must be \(height'),
    'empty': (np.zeros((0, 160, 3), np.uint8), r'has shape \(0, 160, 3\)'),
    'size': (np.zeros((160, 120, 3), np.uint8), 'has 120x160 pixels, those before it 160x120'),
}


@pytest.mark.parametrize(('frame', 'message'), FRAMES.values(), ids=FRAMES)
def test_a_bad_frame_leaves_all_targets_as_they_were(frame, message, finder):
    boxes = tiny_tracker.path(4)
    tracker = OnlineTracker(finder)
    good = [tiny_tracker.draw(box) for box in boxes]
    targets = tracker.start(good[:1] * 2, boxes[[0, 0]])
    before = [target.box for target in targets]
    with pytest.raises(DataError, match=message):
        tracker.step(targets, [good[1], frame])
    if 'those before it' not in message:
        with pytest.raises(DataError, match=message):
            tracker.start([frame], boxes[:1])
    finder.shift.data.fill_(float('nan'))
    with pytest.raises(CheckpointError, match='numbers that are not finite: its weights are brok'):
        tracker.step(targets, [good[1], good[1]])
    assert [target.box for target in targets] == before
    finder.shift.data.zero_()
    found, _ = tracker.step(targets, [good[1], good[1]])
    np.testing.assert_allclose(found, boxes[[1, 1]], atol=1)
