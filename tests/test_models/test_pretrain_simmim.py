"""SimMIM: masks of whole units, the loss of the paper, and reconstructions."""

from functools import partial

import pytest
import tiny_methods as methods
import torch
from tiny_methods import images

from mmlite.errors import ArgumentError

BACKBONE = methods.METHODS['simmim']['backbone']
OFFICIAL = dict(
    BACKBONE, pos_embed='none', rel_pos='shared_bias', layer_scale_init_value=0.1,
    drop_path_rate=0.1,
)  # fmt: skip
build = partial(methods.build, 'simmim')


@pytest.mark.parametrize(
    ('size', 'unit', 'ratio', 'hidden'),
    [(224, 32, 0.6, 30 * 4), (96, 32, 0.6, 6 * 4), (64, 16, 0.5, 8), (64, 32, 0.75, 3 * 4)],
)
def test_masks_hide_whole_units(size, unit, ratio, hidden):
    """ceil(49 * 0.6) = 30 units of 2 x 2 patches at 224 pixels."""
    model = build(mask_unit=unit, mask_ratio=ratio)
    mask = model.draw_mask(torch.zeros(40, 3, size, size))
    assert mask.shape == (40, (size // 16) ** 2)
    assert mask.sum(dim=1).tolist() == [hidden] * 40
    side, cells = size // 16, unit // 16
    units = mask.view(40, side // cells, cells, side // cells, cells).float().mean(dim=(2, 4))
    assert set(units.unique().tolist()) == {0.0, 1.0}
    assert 0 < units.mean(dim=0).min() < units.mean(dim=0).max() < 1  # no unit is always the same


@pytest.mark.parametrize('backbone', [BACKBONE, OFFICIAL], ids=['absolute', 'official'])
def test_loss_is_that_of_the_paper(backbone):
    """Sum |x - y| m / (sum of hidden pixels) / 3, patch by patch in plain loops."""
    model = build(backbone=backbone).eval()
    x = images()
    mask = model.draw_mask(x)
    with torch.no_grad():
        got = model.loss(x, mask=mask)['loss_recon']
        tokens = methods.masked_tokens(model, x, mask)
        conv = model.neck.decoder[0]
        total, pixels = 0.0, 0
        for image, hidden, row in zip(x, mask, tokens, strict=True):
            for cell in range(16):
                if hidden[cell]:
                    y, x0 = 16 * (cell // 4), 16 * (cell % 4)
                    want = image[:, y : y + 16, x0 : x0 + 16]
                    pred = (conv.weight[:, :, 0, 0] @ row[cell] + conv.bias).view(3, 16, 16)
                    total += (pred - want).abs().sum()
                    pixels += 256
    torch.testing.assert_close(got, total / (pixels + 1e-5) / 3)


@pytest.mark.parametrize(
    ('call', 'message'),
    [
        (lambda: build(mask_ratio=0.8).loss(images()), 'mask_ratio 0.8 leaves 0 of 4 mask units'),
        (lambda: build(mask_unit=24), 'mask_unit 24 is not a multiple of the patch size 16'),
        (lambda: build().loss(images(80)), '80x80 pixels do not divide into patches of 32'),
        (
            lambda: build().loss(images(96), mask=torch.zeros(2, 16, dtype=torch.bool)),
            'mask has 16 cells but images of .* have 6x6 patches',
        ),
    ],
)
def test_wrong_arguments(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()
