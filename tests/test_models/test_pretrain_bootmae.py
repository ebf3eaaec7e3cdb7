"""BootMAE: losses against their formulas over all patches, masks, schedules, reconstructions."""

import pytest
import tiny_methods as methods
import torch
from torch.nn import functional as F

from mmlite.errors import ArgumentError
from mmlite.models.layers import cut_patches, sincos_positions
from mmlite.models.pretrain import BootMAEDecoder, bootmae
from mmlite.models.pretrain.bootmae import masking_order

# ---- plain and slow ------------------------------------------------------------------------------


def slow_attention(q, k, v, num_heads):
    """Multi-head attention of one image, head by head: (N, C)."""
    outs = []
    heads = (x.chunk(num_heads, dim=-1) for x in (q, k, v))
    for query, key, value in zip(*heads, strict=True):
        outs.append((query @ key.T / query.shape[-1] ** 0.5).softmax(-1) @ value)
    return torch.cat(outs, dim=-1)


def slow_decoder(decoder, latent, context, order, kept):
    """All N predictions of one image, tokens unshuffled to their places, as in the original."""
    length = len(order)
    side = round(length**0.5)
    x = decoder.down(latent)
    positions = sincos_positions(x.shape[-1], (side, side), with_cls=False)[0]
    cells = decoder.mask_token[0, 0] + positions
    for place, token in zip(order[:kept], x[1:], strict=True):
        cells[place] = token  # visible tokens get no second position
    x = torch.cat([x[:1], cells])
    for block in decoder.blocks:
        heads = block.attn.num_heads
        q, k, v = block.attn.qkv(block.norm1(x)).chunk(3, dim=-1)
        x = x + block.attn.proj(slow_attention(q, k, v, heads))
        cross = block.cross_attn
        k, v = cross.kv(block.norm_context(context)).chunk(2, dim=-1)
        x = x + cross.proj(slow_attention(cross.q(block.norm_cross(x)), k, v, heads))
        x = x + block.mlp(block.norm2(x))
    return decoder.head(decoder.norm(x))[1:]


def slow_weight(mask):
    """m * avgpool(m) + m for a mask (h, w), the border counting as visible."""
    h, w = mask.shape
    weight = torch.zeros(h, w)
    for y in range(h):
        for x in range(w):
            around = mask[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].sum() / 9
            weight[y, x] = mask[y, x] * around + mask[y, x]
    return weight


def slow_losses(model, images, order, kept):
    """Both losses over all patches of all images, with weight zero where they are visible."""
    target_encoder = model.momentum_encoder.backbone
    errors, total_mask = dict(pixel=0.0, feature=0.0), 0.0
    for image, ids in zip(images[:, None], order, strict=True):
        patches, (h, w) = cut_patches(image, model.backbone.patch_size)
        mask = torch.ones(h * w)
        mask[ids[:kept]] = 0
        total_mask += mask.mean() / len(images)
        weight = slow_weight(mask.view(h, w)).flatten()

        tokens = model.backbone.embed(image)[0]
        x = torch.cat([tokens[:1], tokens[1:][ids[:kept]]])[None]
        low, _ = model.backbone.blocks[0](x)
        high, _ = model.backbone.blocks[1](low)
        latent = model.backbone.norm(high)[0]

        pred = slow_decoder(model.pixel_decoder, latent, low[0], ids, kept)
        target = torch.stack(
            [
                (channel - channel.mean()) / (channel.var(unbiased=False) + 1e-5).sqrt()
                for patch in patches[0]
                for channel in patch.view(3, -1)
            ]
        ).view(h * w, -1)
        errors['pixel'] += (weight[:, None] * (pred - target) ** 2).mean() / len(images)

        pred = slow_decoder(model.feature_decoder, latent, high[0], ids, kept)
        tokens = target_encoder.embed(image)
        for block in target_encoder.blocks:
            tokens, _ = block(tokens)
        pred, target = (F.layer_norm(x, x.shape[-1:], eps=1e-6) for x in (pred, tokens[0, 1:]))
        errors['feature'] += (weight[:, None] * (pred - target) ** 2).mean() / len(images)
    return {name: error / total_mask for name, error in errors.items()}


@pytest.mark.parametrize('depth', [1, 2])
def test_losses_are_those_of_the_formulas_over_all_patches(depth, monkeypatch):
    methods.at(399)
    decoders = {
        name: dict(methods.METHODS['bootmae'][name], depth=depth)
        for name in ('pixel_decoder', 'feature_decoder')
    }
    model = methods.build('bootmae', **decoders)
    images, samples = methods.batch('bootmae', images=3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter) * parameter.requires_grad)
        order = masking_order(torch.rand(3, 16) > 0.5)
        monkeypatch.setattr(bootmae, 'masking_order', lambda mask, data_samples: order)
        got = model.loss(images, samples)
        want = slow_losses(model, images, order, kept=4)
    assert got['loss_pixel'] > 0.5 and got['loss_feature'] > 0.5
    torch.testing.assert_close(got['loss_pixel'], want['pixel'], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(got['loss_feature'], want['feature'], rtol=1e-4, atol=1e-5)


# ---- masks and weights ---------------------------------------------------------------------------


@pytest.mark.parametrize('shift', [0, 1, 3])
def test_order_puts_blocks_last_and_rolls_some_of_them_to_the_front(shift):
    torch.manual_seed(0)
    mask = torch.zeros(50, 196, dtype=torch.bool)
    mask.scatter_(1, torch.rand(50, 196).argsort(1)[:, :120], True)
    order = masking_order(mask, shift)
    assert torch.equal(order.sort(1).values, torch.arange(196).expand(50, -1))
    in_blocks = mask.gather(1, order)
    want = torch.arange(196) >= 76
    assert torch.equal(in_blocks, want.roll(shift).expand(50, -1))
    visible = order[:, :49]
    assert mask.gather(1, visible).sum(1).tolist() == [shift] * 50
    # random inside of each part: all different, and the first of each part is spread
    assert len({tuple(row.tolist()) for row in order}) == 50
    assert len(set(order[:, shift].tolist())) > 30 and len(set(order[:, 76 + shift].tolist())) > 30


def test_roll_is_drawn_once_for_a_batch():
    mask = (torch.arange(20) >= 10).expand(8, -1)
    rolls = set()
    for seed in range(40):
        torch.manual_seed(seed)
        first = mask.gather(1, masking_order(mask))[:, :3].sum(1)
        assert len(set(first.tolist())) == 1
        rolls.add(int(first[0]))
    assert rolls == {0, 1, 2, 3}


# ---- schedules, target encoder, reconstruction ---------------------------------------------------


def losses_at(iteration):
    methods.at(iteration)
    model = methods.build('bootmae')
    torch.manual_seed(5)
    return model.loss(*methods.batch('bootmae'))


@pytest.mark.parametrize(('iteration', 'ramp'), [(0, 0.01), (49, 0.5), (99, 1.0), (399, 1.0)])
def test_feature_loss_grows_over_a_quarter_of_training(iteration, ramp):
    """min(4 (e + 1) / E, 1) at the end of epoch e of E = 400."""
    got, whole = losses_at(iteration), losses_at(399)
    torch.testing.assert_close(got['loss_feature'], ramp * whole['loss_feature'])
    torch.testing.assert_close(got['loss_pixel'], whole['loss_pixel'])


def test_perfect_reconstruction(monkeypatch):
    """A decoder that predicts its target gives the image."""
    model = methods.build('bootmae').eval()
    images, samples = methods.batch('bootmae')
    monkeypatch.setattr(
        type(model.pixel_decoder),
        'forward',
        lambda self, latent, low, hidden, grid: model.pixel_target(images, hidden)[0],
    )
    torch.testing.assert_close(model.reconstruct(images, samples).restored, images)


def loss(size=32, hidden=8, **changes):
    model = methods.build('bootmae', **changes)
    return model.loss(torch.randn(1, 3, size, size), methods.samples([torch.arange(hidden)]))


@pytest.mark.parametrize(
    ('call', 'message'),
    [
        (lambda: loss(size=30), 'images of 30x30 pixels do not divide into patches of 8'),
        (lambda: loss(hidden=13), 'hide 13 of 16 patches, more than the 12 of mask_ratio 0.75'),
        (lambda: loss(mask_ratio=0.99), 'mask_ratio 0.99 leaves'),
        (lambda: loss(backbone=dict(methods.VIT, out_type='featmap')), "out_type='raw'"),
        (lambda: loss(backbone=methods.HIERA), "BootMAE requires backbone=dict.type='mmlite.ViT'"),
        (lambda: loss(feature_ramp=0), 'feature_ramp 0 must be > 0'),
        (lambda: BootMAEDecoder(depth=0), 'depth 0 must be >= 1'),
        (lambda: BootMAEDecoder(num_heads=5), '96 is not divisible by'),
    ],
)
def test_wrong_arguments(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()
