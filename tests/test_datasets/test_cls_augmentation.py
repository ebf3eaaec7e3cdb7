"""Augmentation of the ImageNet recipe, against timm, whose training the paper used."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpretrain.registry import BATCH_AUGMENTS
from PIL import Image
from timm.data import Mixup, create_transform
from timm.data import auto_augment as timm_augment
from timm.data.transforms import RandomResizedCropAndInterpolation

from mmlite.registry import TRANSFORMS

CONFIG = Path(__file__).parents[2] / 'configs/cls/vit-tiny_8xb128-coslr-300e_in1k.py'
MEAN = (124, 116, 104)  # RGB, as timm rounds it
DRAWS = 4000
CLOSE = 0.045
"""Largest distance of two empirical distributions of so many draws (a chance of 0.0005)."""


@pytest.fixture
def cfg():
    cfg = Config.fromfile(CONFIG)
    init_default_scope(cfg.default_scope)
    return cfg


@pytest.fixture(autouse=True)
def seeds():
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


def step(cfg, name, loader='train_dataloader'):
    """A transform of a pipeline of the recipe."""
    (found,) = (t for t in cfg[loader].dataset.pipeline if t.type.split('.')[-1] == name)
    return TRANSFORMS.build(found)


def timm_randaugment():
    options = dict(translate_const=100, img_mean=MEAN, interpolation=Image.BICUBIC)
    return timm_augment.rand_augment_transform('rand-m10-mstd0.5-inc1', options)


def picture(height=96, width=128):
    """RGB uint8 (H, W, 3): waves with some noise."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    waves = [np.sin(x / 9 + y / 31), np.cos(y / 13), np.sin((x + y) / 17)]
    noise = np.random.default_rng(0).normal(0, 4, (height, width, 3))
    return np.clip(127 + 110 * np.stack(waves, -1) + noise, 0, 255).astype(np.uint8)


def distance(a, b):
    """Of the distributions of two samples (Kolmogorov-Smirnov)."""
    a, b = np.sort(a), np.sort(b)
    every = np.concatenate([a, b])
    shares = [np.searchsorted(x, every, side='right') / len(x) for x in (a, b)]
    return np.abs(shares[0] - shares[1]).max()


# ---- RandAugment -----------------------------------------------------------------------------

OPERATIONS = tuple(timm_augment._RAND_INCREASING_TRANSFORMS)
MOVING = ('Rotate', 'ShearX', 'ShearY', 'TranslateXRel', 'TranslateYRel')


@pytest.mark.parametrize('sign', [1, -1])
@pytest.mark.parametrize('name', OPERATIONS)
def test_operations_are_those_of_timm(name, sign, cfg, monkeypatch):
    """Colours to two of 255; moved pictures to the difference of two bicubic kernels."""
    ours = step(cfg, 'RandAugment').transforms[OPERATIONS.index(name)]
    theirs = timm_randaugment().ops[OPERATIONS.index(name)]
    assert theirs.name == name and len(step(cfg, 'RandAugment').transforms) == len(OPERATIONS) == 15
    ours.prob, ours.magnitude_std, theirs.prob, theirs.magnitude_std = 1.0, 0, 1.0, 0
    # angles count the other way round, shifts are those of the content or of the window
    turned = -sign if name in MOVING else sign
    monkeypatch.setattr(ours, 'random_negative', lambda value: sign * value)
    monkeypatch.setattr(timm_augment, '_randomly_negate', lambda value: turned * value)
    image = picture()
    for level in (0.6, 3.3, 9.7, 10):
        ours.magnitude_level = theirs.magnitude = level
        got = ours.transform(dict(img=image[..., ::-1].copy()))['img'][..., ::-1].astype(int)
        if name == 'PosterizeIncreasing' and level == 10:
            assert not got.any()  # no bit is left, which Pillow refuses today
            continue
        want = np.asarray(theirs(Image.fromarray(image))).astype(int)
        off = np.abs(got - want)
        assert np.abs(want - image).mean() > max(0.3, 4 * off.mean())
        if name not in MOVING:
            assert off[1:-1, 1:-1].max() <= 2  # Pillow leaves borders as they are when it sharpens
            continue
        assert off.mean() < 1.5 and (off > 16).mean() < 0.01
        if level > 9:
            filled = (want == MEAN).all(-1)
            assert filled.mean() > 0.04 and np.median(off[filled]) == 0


def test_levels_are_distributed_as_in_timm(cfg):
    """Normal around 10, cut off at 10: half of all are the strongest."""
    rotate = OPERATIONS.index('Rotate')
    ours = step(cfg, 'RandAugment').transforms[rotate]
    got = [ours.random_negative(ours.random_magnitude()) for _ in range(DRAWS)]
    theirs = timm_randaugment().ops[rotate]
    theirs.prob, want = 1.0, []
    theirs.aug_fn = lambda image, degrees, **_: want.append(degrees)
    for _ in range(DRAWS):
        theirs(None)
    assert distance(got, want) < CLOSE
    assert np.mean(np.abs(got) == 30) == pytest.approx(0.5, abs=0.03)
    assert np.min(np.abs(got)) > 20


# ---- crops -----------------------------------------------------------------------------------


@pytest.mark.parametrize('size', [(375, 500), (500, 333), (60, 400)])
def test_crops_are_distributed_as_in_timm(size, cfg):
    ours = step(cfg, 'RandomResizedCrop')
    image = np.zeros((*size, 3), np.uint8)
    got = np.array([ours.rand_crop_params(image) for _ in range(DRAWS)])
    theirs = RandomResizedCropAndInterpolation(224, interpolation='bicubic')
    pil = Image.fromarray(image)
    want = np.array([theirs.get_params(pil, theirs.scale, theirs.ratio) for _ in range(DRAWS)])
    for column in range(4):  # top, left, height, width
        assert distance(got[:, column], want[:, column]) < CLOSE
    for boxes in (got, want):
        assert 0.07 < (boxes[:, 2] * boxes[:, 3]).min() / np.prod(size)
    assert distance(got[:, 2] * got[:, 3], want[:, 2] * want[:, 3]) < CLOSE
    assert distance(got[:, 3] / got[:, 2], want[:, 3] / want[:, 2]) < CLOSE


def test_a_crop_is_resized_as_in_timm(cfg, monkeypatch):
    ours = step(cfg, 'RandomResizedCrop')
    theirs = RandomResizedCropAndInterpolation(224, interpolation='bicubic')
    box = (5, 9, 70, 61)  # top, left, height, width
    monkeypatch.setattr(ours, 'rand_crop_params', lambda image: box)
    monkeypatch.setattr(theirs, 'get_params', lambda *_: box)
    image = picture()
    got = ours(dict(img=image[..., ::-1].copy()))['img'][..., ::-1]
    np.testing.assert_array_equal(got, np.asarray(theirs(Image.fromarray(image))))


@pytest.mark.parametrize('size', [(375, 500), (301, 257), (40, 33)])
def test_test_pictures_are_those_of_timm(size, cfg):
    """Short side 256, bicubic and antialiased, central 224."""
    image = picture(*size)
    results = dict(img=image[..., ::-1].copy())
    for name in ('ResizeEdge', 'CenterCrop'):
        results = step(cfg, name, 'val_dataloader')(results)
    theirs = create_transform(224, interpolation='bicubic', crop_pct=0.875, normalize=False)
    want = theirs(Image.fromarray(image)).permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(results['img'][..., ::-1], want)


# ---- mixup -----------------------------------------------------------------------------------


@pytest.fixture
def mixup(cfg):
    return BATCH_AUGMENTS.build(cfg.model.train_cfg.augments)


def test_mixed_pictures_and_labels_are_those_of_timm(mixup, monkeypatch):
    """With the partner that timm takes, the picture at the other end of the batch."""
    images, labels = torch.randn(6, 3, 4, 4), torch.arange(6)
    monkeypatch.setattr(np.random, 'beta', lambda a, b: 0.8)
    monkeypatch.setattr(torch, 'randperm', lambda n: torch.arange(n).flip(0))
    theirs = Mixup(mixup_alpha=0.2, label_smoothing=0.0, num_classes=7)
    want_images, want_labels = theirs(images.clone(), labels)
    got_images, got_labels = mixup(images.clone(), F.one_hot(labels, 7))
    torch.testing.assert_close(got_images, want_images)
    torch.testing.assert_close(got_labels, want_labels)
    assert got_labels[0].tolist() == pytest.approx([0.8, 0, 0, 0, 0, 0.2, 0])
