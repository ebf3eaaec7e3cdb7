"""One-pass evaluation against official values, a plain slow version and known answers."""

import math
from dataclasses import replace
from types import SimpleNamespace

import golden
import numpy as np
import pytest

from mmlite.datasets.sot.sequence import Sequence
from mmlite.errors import ArgumentError, DataError
from mmlite.evaluation.sot.ope import (
    SequenceScore,
    frames_per_second,
    iou,
    mean_curves,
    measure,
    repair,
    score_sequence,
    success_curve,
)
from mmlite.evaluation.sot.protocols import LASOT, PROTOCOLS, find_protocol

OPE = [name for name in PROTOCOLS if name != 'got10k']


def random_track(rng, frames, noise=4.0):
    """Whole-pixel annotation with absent frames, and predictions that get lost for a while."""
    size = rng.integers(20, 60, (1, 2)) + rng.integers(-3, 4, (frames, 2))
    corner = 40 + np.abs(np.cumsum(rng.integers(-3, 4, (frames, 2)), 0))
    truth = np.hstack([corner, size]).astype(float)
    visible = rng.uniform(size=frames) > 0.06
    visible[0] = True
    truth[(rng.uniform(size=frames) < 0.5) & ~visible] = 0
    predicted = truth + rng.normal(0, noise, truth.shape)
    predicted[frames // 2 : frames // 2 + frames // 5, :2] += 200
    predicted[:, 2:] = np.maximum(predicted[:, 2:], 5)
    return predicted, truth, visible


class Frames(list):
    """Frames of a height of 60 and a width of 100 pixels."""

    def read(self, index):
        return np.zeros((60, 100, 3))


def score(predicted, truth, visible=None, protocol=LASOT, cover=None):
    visible = np.ones(len(truth), bool) if visible is None else visible
    sequence = Sequence('s', 'lasot', Frames(truth), truth, visible, cover)
    return score_sequence(sequence, SimpleNamespace(boxes=predicted, seconds=None), protocol)


def numbers(scores, protocol=LASOT):
    scores = [scores] if isinstance(scores, SequenceScore) else scores
    return measure(mean_curves(scores, protocol), protocol)


@pytest.mark.parametrize('kind', ['all', 'visible'])
@pytest.mark.parametrize('index', range(3))
def test_scores_equal_official_ones(index, kind):
    saved = golden.load('sot_metrics')
    want = {key: saved[f's{index}_{kind}_{key}'] for key in ('iou', 'auc')}
    predicted, truth, visible = (saved[f's{index}_{key}'] for key in ('pred', 'gt', 'visible'))
    visible = visible if kind == 'visible' else np.ones_like(visible)
    predicted[0] = truth[0]
    overlaps = np.where(visible, iou(predicted, truth), -1)
    np.testing.assert_allclose(overlaps, want['iou'], rtol=0, atol=1e-12)
    auc = 100 * success_curve(want['iou'], LASOT).mean()
    np.testing.assert_allclose(auc, want['auc'], rtol=1e-6)
    got = numbers(score(predicted, truth, visible))
    # with fractional boxes the official arithmetic makes IoU 1 of the first frame a little more or
    # less, and a little more exceeds the last threshold, which nothing can exceed
    by_rounding = 100 * (want['iou'][0] > 1) / (21 * len(truth))
    np.testing.assert_allclose(got['AUC'], want['auc'] - by_rounding, rtol=1e-6)
    for key, name in (('P', 'precision20'), ('P_norm', 'norm_precision20')):
        np.testing.assert_allclose(got[key], saved[f's{index}_{kind}_{name}'], rtol=1e-6)


def test_perfect_predictions_reach_20_of_21():
    truth = np.random.default_rng(0).uniform(1, 300, (500, 4))
    got = numbers(score(truth, truth))
    assert got == pytest.approx(dict(AUC=2000 / 21, P=100, P_norm=100, OP50=100, OP75=100))
    visible = np.arange(500) % 5 > 0
    got = numbers(score(truth, truth, visible))
    assert got == pytest.approx(dict(AUC=0.8 * 2000 / 21, P=80, P_norm=80, OP50=80, OP75=80))


def plain_frame(index, predicted, truth, visible, protocol):
    """Slow version: IoU and both centre errors of one frame, straight from the definitions."""
    x, y, w, h = truth[index]
    box = next(predicted[i] for i in range(index, -1, -1) if i == 0 or min(predicted[i][2:]) > 0)
    if protocol.whole_pixels:
        x, y, w, h = (round(v) for v in (x, y, w, h))
        box = [round(v) for v in box]
    hits = None
    if not visible[index]:
        hits = protocol.hidden_hits
    elif w <= 0 or h <= 0 or (protocol.corner_inside and (x <= 0 or y <= 0)):
        hits = protocol.unannotated_hits
    if hits is not None:
        return -1, *(-1 if k in hits else math.inf for k in ('precision', 'norm_precision'))
    a, b, c, d = box
    width = max(min(a + c, x + w) - max(a, x), 0)
    height = max(min(b + d, y + h) - max(b, y), 0)
    union = c * d + w * h - width * height
    across, down = a + c / 2 - x - w / 2, b + d / 2 - y - h / 2
    return width * height / union, math.hypot(across, down), math.hypot(across / w, down / h)


@pytest.mark.parametrize('name', OPE)
def test_curves_equal_a_plain_slow_version(name):
    protocol = PROTOCOLS[name]
    rng = np.random.default_rng(1)
    predicted, truth, visible = random_track(rng, 150)
    truth[40] = 0  # visible, but without a box
    truth[50, 0] = -2  # partly left of the picture
    predicted[20:23, 2] = 0
    predicted[30, 3] = -7
    visible[[40, 50, 20, 21, 22, 30]] = True
    got = score(predicted, truth, visible, protocol)
    predicted[0] = truth[0]
    frames = [plain_frame(i, predicted, truth, visible, protocol) for i in range(len(truth))]
    overlap, centre, norm = map(list, zip(*frames, strict=True))
    above = [
        sum(v > t if protocol.strict else v >= t for v in overlap) / len(truth)
        for t in protocol.overlaps
    ]
    within = [sum(v <= t for v in centre) / len(truth) for t in protocol.pixels]
    norm_within = [sum(v <= t for v in norm) / len(truth) for t in protocol.shares]
    np.testing.assert_allclose(got.curves.success, above, atol=1e-12)
    np.testing.assert_allclose(got.curves.precision, within, atol=1e-12)
    np.testing.assert_allclose(got.curves.norm_precision, norm_within, atol=1e-12)
    assert (got.frames, got.counted, got.repaired) == (150, 150, 4)
    assert frames_per_second(np.array([0, 0.5, np.nan, 0.25, 0.25])) == 3


@pytest.mark.parametrize('name', PROTOCOLS)
def test_nan_and_zeros_are_the_same_annotation_of_no_target(name):
    protocol = PROTOCOLS[name]
    predicted, truth, visible = random_track(np.random.default_rng(3), 80)
    for absent in (visible, np.ones(80, bool)):
        truth[[7, 30]] = 0
        zeros = score(predicted, truth, absent, protocol)
        truth[[7, 30]] = np.nan
        nans = score(predicted, truth, absent, protocol)
        for key in ('success', 'precision', 'norm_precision', 'overlap'):
            np.testing.assert_array_equal(getattr(nans.curves, key), getattr(zeros.curves, key))


def test_every_sequence_counts_the_same_unless_pooled():
    rng = np.random.default_rng(2)
    scores = [score(*random_track(rng, frames)) for frames in (100, 300, 200, 400)]
    each = [numbers(s)['AUC'] for s in scores]
    assert numbers(scores)['AUC'] == pytest.approx(np.mean(each))
    pooled = np.average(each, weights=[s.frames for s in scores])
    assert abs(pooled - np.mean(each)) > 0.05
    assert numbers(scores, replace(LASOT, pooled=True))['AUC'] == pytest.approx(pooled)


def test_got10k_counts_visible_frames_of_boxes_limited_to_the_image():
    protocol = PROTOCOLS['got10k']
    truth = np.array([[10, 10, 20, 20], [90, 40, 20, 20], [-10, 5, 20, 10], [1, 1, 9, 9]], float)
    predicted = np.array([[0, 0, 1, 1], [90, 45, 30, 10], [0, 5, 20, 20], [50, 50, 9, 9]], float)
    got = score(predicted, truth, None, protocol, cover=np.array([8, 8, 3, 0]))
    # frame 1: 10x20 and 10x10 in the image; frame 2: the corner moves to 0, the width stays 20
    assert got.curves.overlap == pytest.approx((0.5 + 0.5) / 2)
    assert (got.counted, got.repaired) == (2, 0)
    assert numbers(got, protocol) == pytest.approx(dict(AO=50, SR50=0, SR75=0))
    long = score(truth[[0] + [1] * 6], truth[[0] + [1] * 6], None, protocol)
    assert numbers([got, long], protocol)['AO'] == pytest.approx(100 * (2 * 0.5 + 6 * 1) / 8)
    truth = np.tile([10.0, 10, 20, 20], (4, 1))
    predicted = truth.copy()
    predicted[2, 2], predicted[3, 0] = 0, np.nan  # no area and NaN are an overlap of zero
    got = score(predicted, truth, None, protocol)
    assert got.curves.overlap == pytest.approx(1 / 3)
    with pytest.raises(DataError, match='sequence s: 3 predicted boxes for 2 annotated frames'):
        score(np.ones((3, 4)), np.ones((2, 4)))


def test_trackingnet_takes_areas_of_whole_pixels():
    truth = np.tile([10.0, 10, 20, 20], (2, 1))
    predicted = truth + [[0, 0, 0, 0], [10.4, -0.4, 0.4, 0]]
    got = numbers(score(predicted, truth, None, PROTOCOLS['trackingnet']), PROTOCOLS['trackingnet'])
    # overlap 1/3 passes 7 of 21 thresholds: 1 for 6 intervals and half of one, of 20
    assert got['AUC'] == pytest.approx(50 * (1 + 6.5 / 20))
    # 10 px off: passes at 10, 12.5, ... 50, that is 16 whole intervals of 20 and half of one
    assert got['P'] == pytest.approx(50 * (1 + 16.5 / 20))
    assert got['P_norm'] == pytest.approx(50 * (1 + 0.5 / 20))


def test_predictions_without_area_are_those_of_the_frame_before():
    truth = np.tile([1.0, 1, 9, 9], (6, 1))
    truth[4] = np.nan
    predicted = np.arange(24, dtype=float).reshape(6, 4)
    predicted[1, 2], predicted[2, 3], predicted[4, 0], predicted[5, 0] = 0, -1, np.nan, np.inf
    got = repair(predicted, truth)
    np.testing.assert_array_equal(got, predicted[[0, 0, 0, 3, 4, 4]])
    assert not np.shares_memory(got, predicted)


@pytest.mark.parametrize(('usual', 'want'), [
    ('lasot', 'lasot'), ('uav', 'lasot'), (None, 'lasot'), ('got10k',) * 2, ('trackingnet',) * 2,
])  # fmt: skip
def test_the_official_definition_is_the_default(usual, want):
    assert find_protocol(None, usual).name == want
    assert find_protocol('uav', usual).name == 'uav'
    with pytest.raises(ArgumentError, match="protocol 'lassot' is unknown: choose from .'lasot', "):
        find_protocol('lassot')
