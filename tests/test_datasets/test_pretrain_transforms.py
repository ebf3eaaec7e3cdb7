"""Crops equal mmpretrain's with antialiased filters; blockwise masks hide exactly N patches."""

import numpy as np
import pytest
import torch
from mmpretrain.datasets import PackInputs
from mmpretrain.datasets import RandomResizedCrop as StockRandomResizedCrop

from mmlite.datasets import BlockwiseMask, RandomResizedCrop, TwoSizeRandomResizedCrop
from mmlite.errors import ArgumentError

IMAGE = np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8)


def crop(transform, seed=0):
    np.random.seed(seed)
    return transform(dict(img=IMAGE.copy()))


@pytest.mark.parametrize('interpolation', ['bilinear', 'bicubic', 'lanczos'])
def test_one_interpolation_is_mmpretrains_crop(interpolation):
    options = dict(scale=(32, 48), crop_ratio_range=(0.2, 1.0), interpolation=interpolation)
    for seed in range(5):
        got = crop(RandomResizedCrop(**options), seed)
        want = crop(StockRandomResizedCrop(**options, backend='pillow'), seed)
        np.testing.assert_array_equal(got['img'], want['img'])
        assert got['img_shape'] == (32, 48)


def test_interpolation_is_drawn_for_every_image_and_follows_the_seed():
    names = ['bilinear', 'bicubic']
    either = RandomResizedCrop(32, interpolation=names)
    single = [RandomResizedCrop(32, interpolation=name) for name in names]
    drawn = []
    for seed in range(20):
        got = crop(either, seed)['img']
        equal = [np.array_equal(got, crop(one, seed)['img']) for one in single]
        assert sum(equal) == 1
        drawn.append(equal.index(True))
        np.testing.assert_array_equal(got, crop(either, seed)['img'])
    assert 4 <= sum(drawn) <= 16


def test_two_sizes_show_the_same_crop():
    options = dict(scale=64, interpolation='bicubic')
    pair = crop(TwoSizeRandomResizedCrop(second_scale=32, **options))
    first, second = pair['img']
    np.testing.assert_array_equal(first, crop(RandomResizedCrop(**options))['img'])
    np.testing.assert_array_equal(
        second, crop(RandomResizedCrop(32, interpolation='lanczos'))['img']
    )
    assert pair['img_shape'] == (64, 64)
    assert [view.shape for view in PackInputs()(pair)['inputs']] == [(3, 64, 64), (3, 32, 32)]


@pytest.mark.parametrize(
    ('build', 'message'),
    [
        (lambda: RandomResizedCrop(32, interpolation='cubic'), "interpolation 'cubic' is unknown"),
        (lambda: TwoSizeRandomResizedCrop(32, 16, 'area'), "second_interpolation 'area' is unkn"),
        (lambda: BlockwiseMask((2, 3), 6), 'num_masking_patches=6 of 2x3 patches.*write 1 to 5'),
    ],
)
def test_wrong_arguments(build, message):
    with pytest.raises(ArgumentError, match=message):
        build()


# ---- blockwise masks -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('grid', 'count', 'smallest'),
    [
        (14, 75, 16),
        (14, 195, 16),  # one patch stays visible
        ((4, 7), 10, 4),
        (4, 2, 16),  # blocks larger than what is to be hidden
        ((1, 5), 3, 4),  # no block fits: single patches are drawn
    ],
)
def test_exactly_so_many_patches_are_hidden(grid, count, smallest):
    np.random.seed(0)
    mask = BlockwiseMask(grid, count, smallest)
    for _ in range(20):
        ids = mask({})['hidden_ids']
        assert (ids.dtype, ids.shape) == (torch.int64, (count,))
        assert torch.equal(ids, ids.unique())
        assert 0 <= ids.min() <= ids.max() < mask.num_patches


def test_masks_are_blocks_and_reach_every_patch():
    """Hidden patches keep together, far more than random ones do; none is always visible."""
    np.random.seed(0)
    generator = BlockwiseMask(14, 75, 16)
    masks = np.stack([generator.rand_mask() for _ in range(300)])
    together = (masks[:, 1:] & masks[:, :-1]).sum() / masks[:, 1:].sum()
    assert together > 0.7  # 75 / 196 = 0.38 at random
    share = masks.mean(axis=0)
    assert share.min() > 0.005
    for mirrored in (share[::-1], share[:, ::-1], share.T):
        np.testing.assert_allclose(share, mirrored, atol=0.15)
