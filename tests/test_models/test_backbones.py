"""Both backbones: golden values of the official code, and what every task relies on."""

import golden
import pytest
import torch
from torch import nn

from mmlite.errors import ArgumentError
from mmlite.models import Hiera, ViT

CLOSE = dict(rtol=1e-4, atol=1e-5)
TINY_VIT = dict(arch=dict(embed_dims=24, num_layers=3, num_heads=3), img_size=64)
TINY_HIERA = dict(arch=dict(embed_dims=8, num_layers=(1, 2, 2, 1), num_heads=1), img_size=64)
WINDOWED = dict(
    TINY_VIT, with_cls_token=False, rel_pos='decomposed', window_size=3, global_blocks=(1,)
)
VARIANTS = dict(
    vit=(ViT, TINY_VIT),
    vit_bias=(ViT, dict(TINY_VIT, rel_pos='bias', layer_scale_init_value=0.1)),
    vit_windows=(ViT, WINDOWED),
    vit_drop_path=(ViT, dict(TINY_VIT, drop_path_rate=0.2, with_cp=True)),
    hiera=(Hiera, TINY_HIERA),
    hiera_tile=(Hiera, dict(TINY_HIERA, pos_mode='tile', stage_norm=True)),
    hiera_win=(Hiera, dict(TINY_HIERA, pos_mode='absolute_win', with_cp=True)),
)
variants = pytest.mark.parametrize(('cls', 'kwargs'), VARIANTS.values(), ids=VARIANTS)


def load(model, state, unexpected=()):
    """Load official weights: nothing may be missing, only the named keys may be left over."""
    result = model.load_state_dict(state, strict=False)
    assert result.missing_keys == []
    assert set(result.unexpected_keys) == set(unexpected)
    return model.eval()


# ---- parity with the official code -----------------------------------------------------------


def test_vit_tiny_golden():
    want = golden.tensors('vit_tiny')
    head = ['head.weight', 'head.bias']
    model = load(ViT(out_type='raw', out_indices=(0, 3, 7, 11)), golden.weights('vit_tiny'), head)
    with torch.no_grad():
        *blocks, normed = model(golden.images(224))
        _, taps = model.encode(model.embed(golden.images(224)), ['blocks.11'])
    for got, name in zip([*blocks, taps['blocks.11']], (1, 4, 8, 12), strict=True):
        torch.testing.assert_close(got[:, ::7, ::8], want[f'block{name}'], **CLOSE)
    torch.testing.assert_close(normed[:, ::7, ::8], want['normed'], **CLOSE)


def test_hiera_tiny_golden():
    state, want = golden.weights('hiera_tiny'), golden.tensors('hiera_tiny')
    head = ['head.projection.weight', 'head.projection.bias']
    model = load(Hiera(out_type='avg_featmap'), state, head)
    maps = load(Hiera(), state, [*head, 'norm.weight', 'norm.bias'])
    with torch.no_grad():
        logits = nn.functional.linear(model(golden.images(224))[0], state[head[0]], state[head[1]])
        stages = maps(golden.images(224))
    torch.testing.assert_close(logits.softmax(-1), want['logits'], **CLOSE)
    for index, stage in enumerate(stages):
        got = stage.permute(0, 2, 3, 1)[:, ::3, ::3, ::5]
        torch.testing.assert_close(got, want[f'stage{index}'], **CLOSE)


# ---- what every task relies on ---------------------------------------------------------------


@variants
def test_every_parameter_learns_at_any_size(cls, kwargs):
    """Forward and backward at a size that is no multiple of anything."""
    torch.manual_seed(0)
    model = cls(**kwargs).train()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)
    outs = model(torch.randn(2, 3, 75, 100))
    strides = (16,) if cls is ViT else (4, 8, 16, 32)
    for out, stride in zip(outs, strides, strict=True):
        assert out.shape[0] == 2 and out.shape[2:] == (-(-75 // stride), -(-100 // stride))
        assert out.isfinite().all()
    sum(out.square().mean() for out in outs).backward()
    silent = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


@variants
def test_eval_is_repeatable_and_follows_the_weights(cls, kwargs):
    """Resampled positions are cached; training, loading and writes through .data are seen."""
    torch.manual_seed(0)
    model = cls(**kwargs).eval()
    x = torch.randn(1, 3, 96, 96)

    def last():
        with torch.no_grad():
            return model(x)[-1]

    first = last()
    torch.testing.assert_close(last(), first, rtol=0, atol=0)
    with torch.enable_grad():
        torch.testing.assert_close(model(x)[-1].detach(), first, **CLOSE)
    state = {k: v + 0.5 for k, v in model.state_dict().items()}
    model.load_state_dict(state)
    second = last()
    assert (second - first).abs().max() > 1e-3
    model.pos_embed.data.mul_(2)  # as moving averages do: invisible to version counters
    model.train().eval()
    assert (last() - second).abs().max() > 1e-4


@variants
def test_checkpointing_changes_memory_not_numbers(cls, kwargs):
    kwargs = dict(kwargs, drop_path_rate=0.0)
    x = torch.randn(2, 3, 64, 64)
    grads = []
    for with_cp in (False, True):
        torch.manual_seed(0)
        model = cls(**dict(kwargs, with_cp=with_cp)).train()
        sum(out.square().mean() for out in model(x)).backward()
        grads.append([p.grad for p in model.parameters()])
    torch.testing.assert_close(*grads)


@variants
def test_taps_are_read_without_changing_the_result(cls, kwargs):
    torch.manual_seed(0)
    model = cls(**kwargs).eval()
    tokens = model.embed(torch.randn(2, 3, 64, 64))
    grid = (4, 4)
    names = [f'blocks.1{kind}' for kind in ('', '.norm1', '.q', '.k', '.v', '.attn_logits')]
    plain, none = model.encode(tokens, context=grid)
    tapped, found = model.encode(tokens, names, grid)
    assert none == {} and set(found) == set(names)
    torch.testing.assert_close(tapped, plain, rtol=1e-4, atol=1e-5)
    stopped, _ = model.encode(tokens, names, grid, until_last_tap=True)
    torch.testing.assert_close(stopped, found['blocks.1'])
    weights = found['blocks.1.attn_logits'].softmax(-1)
    assert weights.shape[-1] == found['blocks.1.k'].shape[-2]
    torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))


@variants
def test_frozen_stages_freeze_from_the_front(cls, kwargs):
    model = cls(**kwargs, frozen_stages=1)
    frozen = {n.split('.')[0] for n, p in model.named_parameters() if not p.requires_grad}
    assert {'pos_embed', 'patch_embed', 'blocks'} <= frozen
    learning = [p.requires_grad for p in model.blocks[1].parameters()]
    assert all(learning) and not any(p.requires_grad for p in model.blocks[0].parameters())


def test_hiera_kept_units_equal_full_encoding_in_local_stages():
    """Dropping units changes nothing for the units that stay, until attention is global."""
    torch.manual_seed(0)
    model = Hiera(**TINY_HIERA | dict(img_size=96)).eval()
    x = torch.randn(2, 3, 96, 96)
    mask = torch.tensor([[1, 0, 1, 1, 0, 0, 1, 0, 0], [0, 0, 1, 0, 1, 1, 0, 0, 1]]).bool()
    # the convolution of patches overlaps: hide the same pixels from the full encoding
    shown = mask.view(2, 1, 3, 3).repeat_interleave(32, 2).repeat_interleave(32, 3)
    full, sparse = model.embed(x * shown), model.embed(x, mask, num_keep=4)
    torch.testing.assert_close(model.embed(x, mask), sparse)
    _, full_taps = model.encode(full, ['blocks.2', 'blocks.5'])
    _, sparse_taps = model.encode(sparse, ['blocks.2', 'blocks.5'])
    want = model.unit_maps(full_taps['blocks.2'], 1)[mask].view(2, 4, 4, 4, 16)
    torch.testing.assert_close(model.unit_maps(sparse_taps['blocks.2'], 1), want, **CLOSE)
    last = model.unit_maps(full_taps['blocks.5'], 3)[mask].view(2, 4, 1, 1, 64)
    assert (model.unit_maps(sparse_taps['blocks.5'], 3) - last).abs().max() > 1e-4


def test_hiera_window_positions_stay_aligned_with_units():
    """With tiled tables two units at the same place of their tile see the same positions."""
    x = torch.zeros(1, 3, 128, 128)
    for mode, period in (('tile', 64), ('absolute_win', None)):
        model = Hiera(**TINY_HIERA, pos_mode=mode).eval()
        if mode == 'absolute_win':
            nn.init.zeros_(model.pos_embed)
            period = 32
        step = period // 4
        pos = model._positions((32, 32))
        torch.testing.assert_close(pos[:, :step, :step], pos[:, step : 2 * step, :step])
        assert model.embed(x).shape == (1, 32 * 32, 8)


@pytest.mark.parametrize(
    ('cls', 'kwargs', 'message'),
    [
        (ViT, dict(arch='huge'), "arch 'huge' is unknown: choose from .*tiny"),
        (ViT, dict(arch=dict(embed_dims=24)), 'arch lacks num_layers, num_heads'),
        (ViT, dict(window_size=7), 'set with_cls_token=False'),
        (ViT, dict(out_indices=12), 'out_indices 12 does not exist: ViT has 12 outputs'),
        (ViT, dict(out_type='cls_token', with_cls_token=False), 'requires with_cls_token=True'),
        (ViT, dict(arch=dict(embed_dims=24, num_layers=2, num_heads=5)), 'not divisible'),
        (Hiera, dict(img_size=230), 'img_size 230 is not a multiple of 32'),
        (Hiera, dict(out_indices=(0, 4)), 'Hiera has 4 outputs'),
        (Hiera, dict(out_type='avg_featmap', out_indices=(0,)), 'the last stage only'),
    ],
)
def test_wrong_arguments_name_themselves(cls, kwargs, message):
    with pytest.raises(ValueError, match=message):
        cls(**kwargs)


@pytest.mark.parametrize('size', [(96, 160), [96]])
def test_img_size_of_hiera_is_one_integer(size):
    with pytest.raises(ArgumentError, match='img_size must be one integer'):
        Hiera(img_size=size)
