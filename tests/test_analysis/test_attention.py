"""Distance and entropy of attention: the papers' numbers, known maps, places in Hiera."""

import golden
import numpy as np
import pytest
import torch
from tiny_pretrain import pixels

from mmlite.analysis.attention import (
    attention_maps,
    head_stats,
    measure_attention,
    on_grid,
    patch_attention,
    uniform_values,
    units,
)
from mmlite.analysis.tapped import TappedModel, cell_centres
from mmlite.models import Hiera, ViT
from mmlite.models.layers import join_units

SMALL_VIT = dict(embed_dims=24, num_layers=2, num_heads=3)
SMALL_HIERA = dict(embed_dims=8, num_layers=(1, 2, 2, 2), num_heads=1)
GRID = cell_centres((224, 224), 16).flatten(0, 1)  # pixels


def tapped(backbone):
    return TappedModel('model', backbone, [127.5] * 3, [60.0] * 3)


def hiera(q_pool=3):
    torch.manual_seed(0)
    return tapped(Hiera(SMALL_HIERA, img_size=96, out_type='raw', q_pool=q_pool))


def vit(**kwargs):
    torch.manual_seed(0)
    return tapped(ViT(SMALL_VIT, img_size=32, patch_size=8, out_type='raw', **kwargs))


def test_values_of_the_official_code():
    stats = []
    for batch in range(2):
        logits = (2 * golden.array(f'attn{batch}{layer}', (4, 3, 197, 197)) for layer in range(2))
        found = [head_stats(torch.from_numpy(x), GRID, GRID, num_prefix=1) for x in logits]
        stats.append(np.stack(found, axis=1))  # distance or entropy, layer, head
    distance, entropy = np.mean(stats, axis=0)
    want = golden.load('analysis')
    np.testing.assert_allclose(distance * units(16)['paper'], want['distance'], rtol=1e-4)
    np.testing.assert_allclose(entropy, want['entropy'], rtol=1e-4)


def test_uniform_attention():
    logits = torch.zeros(1, 2, 197, 197)
    logits[..., 0] = 50  # of the class token, which is removed before the softmax
    found, entropy = head_stats(logits, GRID, GRID, num_prefix=1)
    for unit, distance in dict(patches=7.281, paper=101.9, pixels=116.5).items():
        np.testing.assert_allclose(found * units(16)[unit], [distance] * 2, rtol=1e-3)
    np.testing.assert_allclose(entropy, [np.log(196)] * 2, atol=3e-4)
    expected = uniform_values((GRID, GRID))
    np.testing.assert_allclose(expected, (116.5, np.log(196)), rtol=1e-3)


def test_batches_have_equal_weight():
    model = vit()
    batches = [pixels(6), pixels(2, seed=1)]
    (together,) = measure_attention([model], batches)
    alone = [measure_attention([model], [batch])[0] for batch in batches]
    assert list(together) == [0, 1]
    for block, found in together.items():
        np.testing.assert_allclose(found, (alone[0][block] + alone[1][block]) / 2, rtol=1e-6)


def test_windows_are_left_out():
    model = vit(with_cls_token=False, window_size=2, global_blocks=[1])
    (measure,) = measure_attention([model], [pixels()])
    assert list(measure) == model.global_blocks == [1]


def image_order(model, block):
    """Index of Hiera's token at each cell of the image, (h, w), by the way of its feature maps."""
    stage = next(s for s, end in enumerate(model.backbone.stage_ends) if block <= end)
    count = len(model.places((96, 96))[block][0])
    tokens = torch.arange(count)[None, :, None]
    return join_units(model.backbone.unit_maps(tokens, stage), (3, 3))[0, ..., 0]


@pytest.mark.parametrize(('q_pool', 'sides'), [(3, (6, 6, 3, 3)), (2, (6, 6, 6, 6))])
def test_one_hot_attention_in_hiera(q_pool, sides):
    """Every query looks at the cell in row 1 and column 4 of 16 pixels, or the one that holds it.

    Were the tokens taken in the order of rows, the distance would be another.
    """
    model = hiera(q_pool)
    assert model.global_blocks == [4, 5, 6]
    for block, key_side, query_side in zip((4, 5, 6), (6, 6, sides[3]), sides[1:], strict=True):
        queries, keys = model.places((96, 96))[block]
        assert (len(keys), len(queries)) == (key_side**2, query_side**2)
        order = image_order(model, block if block != 5 else 4)
        step = 96 // key_side
        row, column = 16 // step, 64 // step
        logits = torch.zeros(1, 1, len(queries), len(keys))
        logits[..., order[row, column]] = 1e4
        cells = (np.arange(query_side) + 0.5) * 96 / query_side
        x, y = np.meshgrid(cells, cells)
        target = ((column + 0.5) * step, (row + 0.5) * step)
        want = np.hypot(x - target[0], y - target[1]).mean()
        assert head_stats(logits, queries, keys)[0].item() == pytest.approx(want, rel=1e-5)
        in_rows = torch.zeros_like(logits)
        in_rows[..., row * key_side + column] = 1e4
        if key_side > 3:  # 3 x 3 mask units are in the order of rows
            assert head_stats(in_rows, queries, keys)[0].item() != pytest.approx(want, rel=1e-3)


def test_values_of_tokens_lie_on_the_grid():
    _, keys = hiera().places((96, 96))[4]
    x, y = on_grid(keys[:, 0], keys), on_grid(keys[:, 1], keys)
    centres = cell_centres((96, 96), 16)
    torch.testing.assert_close(torch.stack([x, y], -1), centres)


@pytest.mark.parametrize('head', [None, 1])
def test_maps_are_rows_of_the_attention(head):
    model = vit()
    images = pixels(1)
    logits = model.attention_logits(images, lambda _, x: x)
    maps, cells = attention_maps(model, images, (17, 9), head)
    for block, found in maps.items():
        attention = patch_attention(logits[block], 1)[0, :, 6]  # row 1, column 2
        want = attention.mean(0) if head is None else attention[head]
        np.testing.assert_allclose(found, want.view(4, 4), rtol=1e-5)
        assert cells[block].tolist() == [16, 8, 8]


def test_maps_of_pooled_queries():
    maps, cells = attention_maps(hiera(), pixels(1, 96), (50, 50))
    assert {block: found.shape for block, found in maps.items()} == {
        4: (6, 6), 5: (6, 6), 6: (3, 3)
    }  # fmt: skip
    assert cells[4].tolist() == [48, 48, 16]
    assert cells[5].tolist() == cells[6].tolist() == [32, 32, 32]
    for found in maps.values():
        assert found.sum() == pytest.approx(1, abs=1e-5)
