"""BootMAE: losses against their formulas over all patches, masks, schedules, reconstructions."""

from pathlib import Path

import pytest
import tiny_methods as methods
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmpretrain.structures import DataSample
from torch.nn import functional as F

from mmlite.errors import ArgumentError
from mmlite.models.layers import cut_patches, sincos_positions
from mmlite.models.pretrain import BootMAEDecoder, bootmae
from mmlite.models.pretrain.bootmae import boundary_weight, masking_order
from mmlite.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS

CONFIGS = Path(__file__).parents[2] / 'configs/pretrain/bootmae'
RECIPE = CONFIGS / 'bootmae_vit-tiny_8xb512-amp-coslr-400e_in1k.py'


def at(iteration, last=400):
    """Say that training stands at ``iteration`` of ``last``."""
    MessageHub.get_instance('a run').update_info_dict(dict(iter=iteration, max_iters=last))


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
    at(399)
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


def test_boundary_weight():
    torch.manual_seed(0)
    hidden = torch.rand(3, 30).argsort(1)[:, :17]
    got = boundary_weight(hidden, (5, 6))
    for ids, weight in zip(hidden, got, strict=True):
        mask = torch.zeros(30)
        mask[ids] = 1
        torch.testing.assert_close(weight, slow_weight(mask.view(5, 6)).flatten()[ids])


def test_pixel_target_is_normalised_by_channel():
    model = methods.build('bootmae')
    images, _ = methods.batch('bootmae')
    images = images * torch.tensor([1.0, 5.0, 0.1]).view(3, 1, 1) + 2
    hidden = torch.arange(12).expand(6, -1)
    target, mean, std = model.pixel_target(images, hidden)
    assert target.shape == (6, 12, 192)
    channels = target.view(6, 12, 3, 64)
    torch.testing.assert_close(channels.mean(-1), torch.zeros(6, 12, 3), atol=1e-5, rtol=0)
    ones = torch.ones(6, 12, 3)
    torch.testing.assert_close(channels.var(-1, correction=0), ones, atol=2e-2, rtol=0)
    pixels, _ = cut_patches(images, 8)
    restored = (channels * std + mean).flatten(2)
    torch.testing.assert_close(restored, pixels[:, :12])


# ---- schedules, target encoder, reconstruction ---------------------------------------------------


def losses_at(iteration):
    at(iteration)
    model = methods.build('bootmae')
    torch.manual_seed(5)
    return model.loss(*methods.batch('bootmae'))


@pytest.mark.parametrize(('iteration', 'ramp'), [(0, 0.01), (49, 0.5), (99, 1.0), (399, 1.0)])
def test_feature_loss_grows_over_a_quarter_of_training(iteration, ramp):
    """min(4 (e + 1) / E, 1) at the end of epoch e of E = 400."""
    got, whole = losses_at(iteration), losses_at(399)
    torch.testing.assert_close(got['loss_feature'], ramp * whole['loss_feature'])
    torch.testing.assert_close(got['loss_pixel'], whole['loss_pixel'])


@pytest.mark.parametrize(
    ('iteration', 'momentum'), [(0, 0.999), (50, 0.99945), (100, 0.9999), (400, 0.99999)]
)
def test_momentum_rises_in_two_lines(iteration, momentum):
    model = methods.build('bootmae')
    at(iteration)
    with torch.no_grad():
        model.backbone.cls_token.add_(1e3)
    old = model.momentum_encoder.backbone.cls_token.clone()
    model.loss(*methods.batch('bootmae'))
    moved = model.momentum_encoder.backbone.cls_token - old
    want = torch.full_like(old, 1e3 * (1 - momentum))
    torch.testing.assert_close(moved, want, atol=1e-6, rtol=1e-3)


def test_target_encoder_sees_whole_images():
    model = methods.build('bootmae')
    seen = []
    encoder = model.momentum_encoder.backbone
    encoder.blocks[0].register_forward_pre_hook(lambda _, args: seen.append(args[0].shape))
    model.backbone.blocks[0].register_forward_pre_hook(lambda _, args: seen.append(args[0].shape))
    model.loss(*methods.batch('bootmae'))
    assert sorted(tuple(shape) for shape in seen) == [(6, 5, 24), (6, 17, 24)]


def test_reconstruction(monkeypatch):
    """A decoder that predicts its target gives the image; visible patches are always kept."""
    model = methods.build('bootmae').eval()
    images, samples = methods.batch('bootmae')
    order = masking_order(torch.rand(6, 16) > 0.5)
    monkeypatch.setattr(bootmae, 'masking_order', lambda mask, data_samples: order)
    found = model.reconstruct(images, samples)
    masked, restored, whole = (cut_patches(x, 8)[0] for x in (found.masked, found.restored, images))
    for image, ids in enumerate(order):
        assert torch.equal(masked[image, ids[:4]], whole[image, ids[:4]])
        assert not masked[image, ids[4:]].any()
        torch.testing.assert_close(restored[image, ids[:4]], whole[image, ids[:4]])
        assert (restored[image, ids[4:]] - whole[image, ids[4:]]).abs().mean() > 0.1
    monkeypatch.setattr(
        type(model.pixel_decoder),
        'forward',
        lambda self, latent, low, hidden, grid: model.pixel_target(images, hidden)[0],
    )
    torch.testing.assert_close(model.reconstruct(images, samples).restored, images)


@pytest.mark.parametrize(
    ('size', 'hidden', 'message'),
    [
        (30, 8, 'images of 30x30 pixels do not divide into patches of 8'),
        (32, 13, 'hide 13 of 16 patches, more than the 12 of mask_ratio 0.75: reduce num_masking'),
    ],
)
def test_wrong_batches_name_themselves(size, hidden, message):
    sample = DataSample()
    sample.set_field(torch.arange(hidden), 'hidden_ids')
    with pytest.raises(ArgumentError, match=message):
        methods.build('bootmae').loss(torch.randn(1, 3, size, size), [sample])


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(backbone=dict(methods.VIT, out_type='featmap')), "out_type='raw'"),
        (dict(feature_ramp=0), 'feature_ramp 0 must be > 0'),
        (dict(momentum=[(0, 0.9), (100, 1.0)]), 'momentum=.* is not a schedule'),
        (dict(pixel_decoder=methods.decoder(100)), 'pixel_decoder maps 24 to 100 .*_channels=192'),
        (dict(feature_decoder=methods.decoder(8)), 'feature_decoder maps 24 to 8 .*_channels=24'),
    ],
)
def test_wrong_arguments_name_themselves(changes, message):
    with pytest.raises(ArgumentError, match=message):
        methods.build('bootmae', **changes)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [(dict(depth=0), 'depth 0 must be >= 1'), (dict(num_heads=5), '96 is not divisible by')],
)
def test_wrong_decoders_name_themselves(changes, message):
    with pytest.raises(ArgumentError, match=message):
        BootMAEDecoder(**changes)


@pytest.mark.parametrize('mask_ratio', [0.0, 0.99])
def test_mask_ratios_that_leave_nothing(mask_ratio):
    with pytest.raises(ArgumentError, match=f'mask_ratio {mask_ratio} leaves'):
        methods.build('bootmae', mask_ratio=mask_ratio).loss(*methods.batch('bootmae'))


# ---- the recipe ----------------------------------------------------------------------------------


def test_numbers_of_the_recipe():
    """147 of 196 patches hidden; decoders 1 x 96 with 3 heads; class token not decayed."""
    recipe = Config.fromfile(RECIPE)
    methods.init_default_scope('mmpretrain')
    with torch.device('meta'):
        model = MODELS.build(recipe.model)
    for decoder, channels in ((model.pixel_decoder, 768), (model.feature_decoder, 192)):
        assert (len(decoder.blocks), decoder.embed_dims) == (1, 96)
        assert decoder.blocks[0].attn.num_heads == decoder.blocks[0].cross_attn.num_heads == 3
        assert decoder.head.out_features == channels
    sample = DataSample()
    sample.set_field(torch.arange(120), 'hidden_ids')
    shown, hidden, grid = model._choose(torch.zeros(1, 3, 224, 224), [sample])
    assert (shown.shape, hidden.shape, grid) == ((1, 49), (1, 147), (14, 14))
    assert not model.backbone.pos_embed.requires_grad

    wrapper = dict(recipe.optim_wrapper, type='OptimWrapper')
    built = OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(
            type=wrapper.pop('constructor'),
            paramwise_cfg=wrapper.pop('paramwise_cfg'),
            optim_wrapper_cfg=wrapper,
        )
    )(model)
    decays = {n: g['weight_decay'] for g in built.optimizer.param_groups for n in g['param_names']}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            exempt = parameter.ndim == 1 or name == 'backbone.cls_token'
            assert decays[name] == (0.0 if exempt else 0.05), name
    (group, _) = built.optimizer.param_groups
    assert (group['lr'], group['betas']) == (2.4e-3, (0.9, 0.95))
    assert recipe.train_dataloader.batch_size * 8 == recipe.auto_scale_lr.base_batch_size == 4096
    assert recipe.param_scheduler[1].eta_min == 1e-4
    assert recipe.model.data_preprocessor.mean == recipe.model.data_preprocessor.std == [127.5] * 3
