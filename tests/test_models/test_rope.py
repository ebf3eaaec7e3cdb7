"""Rotary positions, register tokens and the other parts of the ViTs of DINOv3 and EUPE."""

from functools import partial

import pytest
import torch
from timm.layers import resample_abs_pos_embed
from torch import nn

from mmlite.errors import ArgumentError
from mmlite.models import MAE, ViT
from mmlite.models.layers import Places, Rope
from mmlite.models.layers.rope import rotate
from mmlite.models.track.elimination import Survivors

ARCH = dict(embed_dims=24, num_layers=2, num_heads=3)
PLAIN = dict(with_cls_token=False, out_type='raw')


def make(**kwargs):
    """A small ViT with rotary positions of which no weight is at its trivial start."""
    torch.manual_seed(0)
    given = dict(
        arch=ARCH, img_size=64, pos_embed='none', rope=dict(temperature=100), norm_eps=1e-5,
        layer_scale_init_value=1e-5,
    )  # fmt: skip
    vit = ViT(**given | kwargs)
    for parameter in vit.parameters():
        if parameter.requires_grad:
            nn.init.normal_(parameter, std=0.3)
    return vit.eval()


def images(*size):
    return torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize('reference', [None, 6])
def test_rotation_equals_complex_numbers_of_each_cell(reference):
    H, W, D = 2, 3, 8
    rope = Rope(D, temperature=50, reference=reference)
    x = torch.randn(1, 1, 1 + H * W, D, dtype=torch.double)
    got = rotate(x, rope(Places(((H, W),))), rope.interleaved)
    torch.testing.assert_close(got[0, 0, 0], x[0, 0, 0], rtol=0, atol=0)  # stands before the grid
    for cell in range(H * W):
        r, c = divmod(cell, W)
        if reference is None:
            places = [
                2 * torch.pi * (2 * (r + 0.5) / H - 1),
                2 * torch.pi * (2 * (c + 0.5) / W - 1),
            ]
        else:
            places = [r * reference / H, c * reference / W]
        angles = torch.tensor([at / 50 ** (i / 2) for at in places for i in range(2)]).double()
        token = x[0, 0, 1 + cell]
        pairs = token.view(2, 4).T if reference is None else token.view(4, 2)
        turned = torch.view_as_complex(pairs.contiguous()) * torch.polar(
            torch.ones(4).double(), angles
        )
        turned = torch.view_as_real(turned)
        want = turned.T.flatten() if reference is None else turned.flatten()
        torch.testing.assert_close(got[0, 0, 1 + cell], want, rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_kept_cells_keep_their_positions():
    vit = make(num_registers=2, out_type='raw')
    x = images(64, 48)
    (whole,) = vit(x)
    keep = torch.stack([torch.randperm(12), torch.randperm(12)])
    tokens, _ = vit.encode(vit.embed(x, keep), context=vit.context(x, keep))
    torch.testing.assert_close(vit.norm(tokens)[:, :3], whole[:, :3])
    patches = whole[:, 3:].take_along_dim(keep[..., None], 1)
    torch.testing.assert_close(vit.norm(tokens)[:, 3:], patches)
    some = keep[:, :5]
    _, few = vit.encode(vit.embed(x, some), ['blocks.0.attn_logits'], vit.context(x, some))
    _, all_ = vit.encode(vit.embed(x), ['blocks.0.attn_logits'], vit.context(x))
    index = torch.cat([torch.arange(3).expand(2, -1), 3 + some], 1)
    want = all_['blocks.0.attn_logits'].take_along_dim(index[:, None, :, None], 2)
    want = want.take_along_dim(index[:, None, None], 3)
    torch.testing.assert_close(few['blocks.0.attn_logits'], want)
    with pytest.raises(ArgumentError, match='rotary positions require the token grid'):
        vit.encode(vit.embed(x, some))
    with pytest.raises(ArgumentError, match='8 tokens cannot have .* of 12 cells'):
        vit.encode(vit.embed(x, some), context=(4, 3))


@torch.no_grad()
def test_windows_keep_the_positions_of_the_whole_grid():
    x = images(64, 48)  # 4 x 3 cells in windows of 2: one column is padding
    tap = ['blocks.0.attn_logits']
    whole, cut = make(**PLAIN), make(**PLAIN, window_size=2, global_blocks=(1,))
    cut.load_state_dict(whole.state_dict())
    want = whole.encode(whole.embed(x), tap, (4, 3))[1][tap[0]]
    got = cut.encode(cut.embed(x), tap, (4, 3))[1][tap[0]].view(2, 4, 3, 4, 4)
    for window, cells in {0: [0, 1, 3, 4], 2: [6, 7, 9, 10]}.items():
        torch.testing.assert_close(got[:, window], want[:, :, cells][..., cells])
    torch.testing.assert_close(got[:, 1, :, ::2, ::2], want[:, :, [2, 5]][..., [2, 5]])
    with pytest.raises(ArgumentError, match='do not support a class token or registers'):
        make(with_cls_token=False, num_registers=1, window_size=2)


@torch.no_grad()
def test_tokens_of_two_grids_and_pruned_ones_keep_their_cells():
    vit = make(**PLAIN)
    template, search = vit.embed(images(32, 32)), vit.embed(images(64, 64))
    tokens, logits = torch.cat([template, search], 1), ['blocks.0.attn_logits']
    whole, tapped = vit.encode(tokens, logits, Survivors(2, 4).places)
    for alone, side, cells in ((template, 2, slice(4)), (search, 4, slice(4, None))):
        want = vit.encode(alone, logits, (side, side))[1][logits[0]]
        torch.testing.assert_close(tapped[logits[0]][:, :, cells, cells], want)
    left = Survivors(2, 4)
    pruned, _ = vit.encode(tokens, context=left.places, prune={0: partial(left.prune, 16)})
    assert (left.ids.diff() < 0).any()  # they have changed their order, and nothing else
    torch.testing.assert_close(left.restore(pruned[:, 4:]), whole[:, 4:])


@torch.no_grad()
def test_registers_are_in_no_map_and_no_mean():
    vit = make(num_registers=2)
    x = images(60, 48)  # padded to 64
    tokens, _ = vit.encode(vit.embed(x), context=vit.context(x))
    assert tokens.shape == (2, 3 + 12, 24) and vit.tap_shape('blocks.1') == (24, 3 + 16)
    want = tokens[:, 3:].transpose(1, 2).unflatten(2, (4, 3))
    torch.testing.assert_close(vit(x)[0], want)
    mean = make(num_registers=2, out_type='avg_featmap')
    torch.testing.assert_close(mean(x)[0], mean.fc_norm(want.mean((2, 3))))
    assert vit.get_layer_depth('reg_token')[0] == 0 and 'reg_token' in vit.no_weight_decay()


def test_bias_of_keys_has_no_effect_and_stays_as_it_is():
    vit = make(qkv_bias='qv', out_type='raw')
    bias = vit.blocks[0].attn.qkv.bias
    x = images(32, 32)
    (want,) = vit(x)
    want.square().sum().backward()
    assert bias.grad[24:48].eq(0).all() and bias.grad[:24].ne(0).all()
    with torch.no_grad():
        bias[24:48] = 7
        torch.testing.assert_close(vit(x)[0], want, rtol=0, atol=0)
        full = make(out_type='raw')
        full.load_state_dict(vit.state_dict())
        assert (full(x)[0] - want).abs().max() > 0.01  # it matters where there is one


def test_coordinates_change_at_random_in_training_only():
    rope = Rope(8, rescale=2, jitter=1.5, shift=0.2)
    places = Places(((3, 4),))
    plain = rope(places)
    torch.testing.assert_close(plain, Rope(8)(places), rtol=0, atol=0)
    torch.manual_seed(3)
    first, second = (rope(places, training=True) for _ in range(2))
    assert (first - plain).abs().max() > 0.01 and (first - second).abs().max() > 0.01
    torch.manual_seed(3)
    torch.testing.assert_close(rope(places, training=True), first, rtol=0, atol=0)
    scaled = Rope(8, rescale=2)(places, training=True)
    slowest = [torch.atan2(t[1], t[0])[0, 0, :, 3] for t in (scaled, plain)]
    factor = slowest[0] / slowest[1]
    assert factor.max() - factor.min() < 1e-4 and 0.5 <= factor[0] <= 2  # one for all cells
    with pytest.raises(ArgumentError, match='rescale 0.5'):
        Rope(8, rescale=0.5)


@torch.no_grad()
def test_positions_are_resampled_with_antialiasing_as_timm_does():
    vit = make(pos_embed='learned', rope=None, pos_antialias=True)
    got = vit.resample_positions(vit.pos_embed, (2, 3))
    want = resample_abs_pos_embed(vit.pos_embed, (2, 3), num_prefix_tokens=1)
    torch.testing.assert_close(got, want)


@torch.no_grad()
def test_final_norm_of_any_block_is_a_tap():
    vit = make(out_type='raw')
    x = images(32, 32)
    _, taps = vit.encode(vit.embed(x), ['norm.0', 'norm', 'blocks.0'], vit.context(x))
    torch.testing.assert_close(taps['norm.0'], vit.norm(taps['blocks.0']))
    torch.testing.assert_close(taps['norm'], vit(x)[0])
    with pytest.raises(ArgumentError, match="unknown tap 'norm.2'"):
        vit.group_taps(['norm.2'])


def test_masked_autoencoder_and_its_teacher_see_the_cells_of_the_visible_patches():
    """Two orders of the same visible patches give the same losses."""
    backbone = dict(
        type='mmlite.ViT', arch=ARCH, img_size=64, out_type='raw', num_registers=2,
        pos_embed='none', rope=dict(temperature=100), qkv_bias='qv', mlp='swiglu',
    )  # fmt: skip
    pair = dict(student='blocks.1', teacher='norm')
    torch.manual_seed(0)
    model = MAE(
        backbone,
        neck=dict(type='mmlite.MaskedDecoder', in_channels=24, grid=4, embed_dims=12),
        head=dict(type='mmlite.PixelHead'),
        distill=dict(type='mmlite.Distillation', teacher=backbone, pairs=[pair]),
    )
    order = torch.randperm(16).expand(2, -1)
    swapped = order.clone()
    swapped[:, :4] = order[:, [2, 0, 3, 1]]
    want, got = (model.loss(images(64, 64), ids_shuffle=ids) for ids in (order, swapped))
    assert set(want) == {'loss_recon', 'loss_rep'}
    for key in want:
        torch.testing.assert_close(got[key], want[key], rtol=1e-4, atol=1e-5)
