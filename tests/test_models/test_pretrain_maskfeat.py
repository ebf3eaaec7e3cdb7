"""MaskFeat: features written out pixel by pixel, the loss on hidden patches, glyphs."""

import math

import numpy as np
import pytest
import tiny_methods as methods
import torch
from tiny_methods import IDS, images, samples

from mmlite.errors import ArgumentError
from mmlite.models.pretrain.maskfeat import HOGTarget, sobel


def build(**target):
    return methods.build('maskfeat', target_generator=dict(type='mmlite.HOGTarget', **target))


# ---- features --------------------------------------------------------------------------------


def slow_hog(image, nbins=9, pool=8, window=16, patch_size=16):
    """The features of one image (3, H, W) in plain loops over pixels."""
    _, H, W = image.shape
    x = np.pad(image.double().numpy(), ((0, 0), (1, 1), (1, 1)), mode='reflect')
    kernel = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]])
    cells = np.zeros((3, nbins, H // pool, W // pool))
    for c in range(3):
        for i in range(H):
            for j in range(W):
                around = x[c, i : i + 3, j : j + 3]
                gx, gy = (kernel * around).sum(), (kernel.T * around).sum()
                angle = math.atan2(gx, gy) % math.pi
                at = [(k % window - (window - 1) / 2) / (window / 2) for k in (i, j)]
                weight = math.exp(-0.5 * (at[0] ** 2 + at[1] ** 2))
                vote = math.hypot(gx, gy) * weight
                cells[c, int(angle / math.pi * nbins) % nbins, i // pool, j // pool] += vote
    cells /= np.linalg.norm(cells, axis=1, keepdims=True)
    side = patch_size // pool
    return np.stack(
        [
            cells[:, :, i : i + side, j : j + side].ravel()
            for i in range(0, H // pool, side)
            for j in range(0, W // pool, side)
        ]
    )


@pytest.mark.parametrize(
    ('size', 'options'),
    [
        ((32, 48), {}),
        ((16, 32), dict(nbins=6, pool=4, window=8, patch_size=8)),
        ((32, 32), dict(window=32)),
    ],
)
def test_features_pixel_by_pixel(size, options):
    target = HOGTarget(**options)
    got = target(images(*size))
    want = np.stack([slow_hog(image, **options) for image in images(*size)])
    np.testing.assert_allclose(got, want, atol=1e-5)
    assert got.shape[2] == target.out_channels


def test_features_do_not_depend_on_amp_or_contrast():
    target, x = HOGTarget(), images()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert torch.equal(target(x), HOGTarget()(x))
    torch.testing.assert_close(target(x), target(7 * x - 3), rtol=0, atol=1e-4)
    assert target(x.requires_grad_()).requires_grad is False


def test_flat_images_have_no_features():
    flat = torch.tensor([0.1, -1.7, 0.33]).view(1, 3, 1, 1).expand(1, 3, 32, 32)
    assert not HOGTarget()(flat).any()
    assert all(not g.any() for g in sobel(flat))


@pytest.mark.parametrize(('axis', 'orientation'), [('vertical', 4), ('horizontal', 0)])
def test_glyphs_run_along_edges(axis, orientation):
    """A bar gives votes of one orientation, and strokes in the direction of the bar."""
    bar = torch.zeros(1, 3, 32, 32)
    bar[..., 11:13] = 1
    bar = bar if axis == 'vertical' else bar.transpose(2, 3)
    target = HOGTarget()
    features = target(bar)
    votes = features.view(4, 3, 9, 4).sum((0, 1, 3))
    assert votes.argmax() == orientation
    drawn = target.draw(features, (2, 2))[0]
    drawn = drawn if axis == 'vertical' else drawn.t()
    assert drawn.shape == (32, 32)
    assert 0 <= drawn.min() < 0.01 < 0.9 < drawn.max() <= 1
    along, across = drawn[8:16].diff(dim=0)[:-1].abs().mean(), drawn[8:16].diff(dim=1).abs().mean()
    assert along < 0.4 * across
    assert drawn[:, :6].abs().max() == 0  # nothing where the image is flat


# ---- model -----------------------------------------------------------------------------------


def test_loss_is_that_of_the_paper():
    """Mean squared error over hidden patches, from predictions for every token."""
    model = build().eval()
    x = images()
    with torch.no_grad():
        got = model.loss(x, samples())['loss_hog']
        pred = model.neck.fc(methods.masked_tokens(model, x, IDS))
    errors = []
    for image, row, hidden in zip(x, pred, IDS, strict=True):
        want = torch.from_numpy(slow_hog(image)).float()
        errors += [(row[i] - want[i]).square().mean() for i in hidden]
    torch.testing.assert_close(got, torch.stack(errors).mean(), rtol=1e-4, atol=1e-6)


def test_target_of_the_reconstruction_is_drawn():
    model = build().eval()
    x = images(64, 96)
    generator, processor = model.target_generator, model.data_preprocessor
    grey = generator.draw(generator(x), (4, 6))[:, None] * 255
    want = (grey - processor.mean) / processor.std
    torch.testing.assert_close(model.reconstruct(x, samples()).target, want)


@pytest.mark.parametrize(
    ('build_it', 'message'),
    [
        (lambda: build(pool=6), 'a patch of 16 pixels is not a multiple of the HOG cell of 6'),
        (lambda: HOGTarget(window=12), 'a window of 12 pixels is not a multiple'),
        (lambda: build().loss(images(72), samples()), '72x72 pixels do not divide into patches'),
        (
            lambda: build().loss(images(), samples([torch.arange(4), torch.arange(5)])),
            'images of one batch hide 4 to 5 patches',
        ),
    ],
)
def test_wrong_arguments(build_it, message):
    with pytest.raises(ArgumentError, match=message):
        build_it()
