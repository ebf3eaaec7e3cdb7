"""Transforms of training pairs against a plain version on whole frames, and their statistics."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import Compose

from mmlite.datasets.sot.transforms import (
    CropPair,
    FlipCrops,
    JitterBrightness,
    PackTrackPair,
)
from mmlite.errors import ArgumentError

TEMPLATE = dict(size=128, factor=2.0)
SEARCH = dict(size=256, factor=4.0, center_jitter=3.0, scale_jitter=0.25)
HEIGHT, WIDTH = 90, 120


def noise(seed, height=HEIGHT, width=WIDTH):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def pair(seed, boxes=((30.0, 20.0, 24.5, 17.0), (41.0, 25.5, 21.0, 19.0)), images=None):
    first, second = images or (noise(1), noise(2))
    return dict(
        template_image=first,
        template_box=np.array(boxes[0]),
        search_image=second,
        search_box=np.array(boxes[1]),
        rng=np.random.default_rng(seed),
    )


def released_pair(
    sample, gray_prob=0.05, flip_prob=0.5, brightness=0.2, second_flip=0.5, search=SEARCH
):
    """The steps of the released code one by one, on whole frames and floats."""
    rng = sample['rng']
    gray, flip = rng.random(2) < (gray_prob, flip_prob)
    crops, labels = [], []
    for frame, options in (('template', TEMPLATE), ('search', search)):
        image = sample[f'{frame}_image'].copy()
        x, y, w, h = sample[f'{frame}_box']
        if gray:
            image = np.stack([cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)] * 3, axis=2)
        if flip:
            image = np.flip(image, 1).copy()
            corners = (WIDTH - 1) - np.array([x, x + w])
            x, w = corners.min(), np.ptp(corners)
        jx, jy, jw, jh = x, y, w, h
        if frame == 'search':
            jw, jh = np.array([w, h]) * np.exp(options['scale_jitter'] * rng.standard_normal(2))
            shift = options['center_jitter'] * np.sqrt(jw * jh) * (rng.random(2) - 0.5)
            jx, jy = x + w / 2 + shift[0] - jw / 2, y + h / 2 + shift[1] - jh / 2
        side = int(np.ceil(np.sqrt(jw * jh) * options['factor']))
        left, top = round(jx + 0.5 * jw - side * 0.5), round(jy + 0.5 * jh - side * 0.5)
        pads = [
            (max(0, -top), max(0, top + side - HEIGHT + 1)),
            (max(0, -left), max(0, left + side - WIDTH + 1)),
        ]
        part = image[
            top + pads[0][0] : top + side - pads[0][1], left + pads[1][0] : left + side - pads[1][1]
        ]
        part = np.pad(part, [*pads, (0, 0)])
        size = options['size']
        scale = size / side
        crop = cv2.resize(part, (size, size)).astype(np.float64)
        cx = (size - 1) / 2 + (x + w / 2 - jx - jw / 2) * scale
        cy = (size - 1) / 2 + (y + h / 2 - jy - jh / 2) * scale
        labels.append(np.array([cx - w * scale / 2, cy - h * scale / 2, w * scale, h * scale]))
        crops.append(crop)
    factors = rng.uniform(1 - brightness, 1 + brightness, 2)
    crops = [np.clip(crop * factor, 0, 255) for crop, factor in zip(crops, factors, strict=True)]
    flips = rng.random(2) < second_flip
    for index, flip in enumerate(flips):
        if flip:
            crops[index] = crops[index][:, ::-1]
            x, y, w, h = labels[index]
            labels[index] = np.array([crops[index].shape[0] - x - w, y, w, h])
    return crops[0], crops[1], labels[1] / search['size']


@pytest.mark.parametrize('gray_prob', [0.05, 0.5])
@pytest.mark.parametrize('boxes', [
    ((30.0, 20.0, 24.5, 17.0), (41.0, 25.5, 21.0, 19.0)),  # inside
    ((-4.0, -3.0, 30.0, 20.0), (100.0, 70.0, 30.0, 30.0)),  # over the borders
    ((0.0, 0.0, 119.0, 89.0), (90.5, 1.5, 28.5, 20.25)),  # larger than the frame; touches it
])  # fmt: skip
def test_pairs_are_those_of_the_plain_version(gray_prob, boxes):
    steps = Compose([
        CropPair(TEMPLATE, SEARCH, gray_prob=gray_prob), JitterBrightness(), FlipCrops(),
        PackTrackPair(),
    ])  # fmt: skip
    for seed in range(12):
        packed = steps(pair(seed, boxes))
        template, search, box = released_pair(pair(seed, boxes), gray_prob)
        for frame, want in (('template', template), ('search', search)):
            got = packed['inputs'][frame]
            assert got.dtype == torch.uint8 and got.is_contiguous()
            # the plain version does not round after brightness
            np.testing.assert_allclose(got.numpy(), want.transpose(2, 0, 1), rtol=0, atol=0.5001)
        assert packed['data_samples']['box'].dtype == torch.float32
        np.testing.assert_allclose(packed['data_samples']['box'], box, atol=1e-6)


def test_frames_are_not_changed_and_the_crop_is_not_a_view():
    images = noise(1), noise(2)
    before = [image.copy() for image in images]
    steps = Compose([CropPair(TEMPLATE, SEARCH, gray_prob=0.5), JitterBrightness(), FlipCrops()])
    for seed in range(8):
        sample = steps(pair(seed, images=images))
        sample['search_image'][:] = 0
        assert all((a == b).all() for a, b in zip(images, before, strict=True))


@pytest.mark.parametrize(('coords', 'flip', 'slip'), [
    ('exact', 0.0, 0.0), ('exact', 1.0, 0.0), ('ostrack', 1.0, 1.0),
])  # fmt: skip
def test_labels_lie_on_the_target(coords, flip, slip):
    """A bright target, found again in the crop: exact coordinates hit it, mirrored or not."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[30:46, 50:70] = 255
    sample = pair(0, [(50.0, 30.0, 20.0, 16.0)] * 2, (image, image))
    crop = CropPair(TEMPLATE, dict(SEARCH, scale_jitter=0), 0.0, flip_prob=flip, coords=coords)
    out = crop(sample)
    columns = np.flatnonzero(out['search_image'].max((0, 2)) > 127)
    rows = np.flatnonzero(out['search_image'].max((1, 2)) > 127)
    scale = 256 / np.ceil(4 * np.sqrt(320))
    x, y, w, h = out['search_box']
    # a released label is further off by the crop's centre and its rounded corner
    tolerance = 0.51 if coords == 'exact' else 0.51 + 0.5 * scale + 0.5
    assert columns[0] == pytest.approx(x + slip * scale, abs=tolerance)
    assert columns[-1] + 1 == pytest.approx(x + w + slip * scale, abs=tolerance)
    assert (rows[0], rows[-1] + 1) == pytest.approx((y, y + h), abs=tolerance)


@pytest.mark.parametrize(('box', 'valid'), [
    ((30.0, 20.0, 8.0, 8.0), True),
    ((30.0, 20.0, 0.0, 8.0), False),  # no area
    ((30.0, 20.0, np.nan, 8.0), False),
    ((30.0, 20.0, 1e-3, 1e-3), True),  # a side of one pixel
    ((400.0, 20.0, 8.0, 8.0), False),  # outside
    ((119.5, 20.0, 1e-3, 1e-3), False),  # in the last column, which the crop leaves black
    ((-22.0, 40.0, 10.0, 10.0), True),
    ((-23.0, 40.0, 10.0, 10.0), False),  # two columns of image, where no cell of the crop begins
    ((133.0, 40.0, 10.0, 10.0), True),  # one column, where the first cell begins
    ((134.0, 40.0, 10.0, 10.0), False),
])  # fmt: skip
@pytest.mark.parametrize('frame', ['template', 'search'])
def test_pairs_without_a_valid_crop_are_dropped(frame, box, valid):
    sample = pair(0)
    sample[f'{frame}_box'] = np.array(box)
    still = dict(size=256, factor=4.0)
    assert (CropPair(still, still, flip_prob=0.0)(sample) is not None) == valid


@pytest.mark.parametrize(('make', 'message'), [
    (lambda: CropPair(TEMPLATE, SEARCH, gray_prob=1.5), 'gray_prob must be between 0 and 1'),
    (lambda: CropPair(TEMPLATE, SEARCH, coords='pixel'), "coords 'pixel' is unknown"),
    (lambda: CropPair(dict(size=128), SEARCH), 'template=.* is not a crop'),
    (lambda: CropPair(TEMPLATE, dict(SEARCH, jitter=1)), 'search=.* is not a crop'),
    (lambda: CropPair(TEMPLATE, dict(SEARCH, factor=0)), 'search.factor=0 is too small'),
    (lambda: JitterBrightness(2), 'strength must be between 0 and 1, got 2'),
])  # fmt: skip
def test_wrong_arguments_are_named(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()
