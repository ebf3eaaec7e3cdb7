"""Trackers made fast for inference: the numbers of the plain model, with less work."""

import copy

import pytest
import torch
from tiny_tracker import CE, HIERA, VIT, build, pairs, recipe
from torch import nn

from mmlite.analysis.complexity import count_macs
from mmlite.errors import ArgumentError
from mmlite.models.track.deploy import fuse_for_tracking
from mmlite.models.track.fused_head import FusedHead
from mmlite.registry import MODELS

CE = CE | dict(keep_ratio=0.5)


def randomized(model):
    """Eval mode, and no parameter or statistic at its start, where much is 0 or 1."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if 'running_var' in name:
                tensor.uniform_(0.5, 1.5, generator=generator)
            elif tensor.is_floating_point():
                tensor.add_(torch.randn(tensor.shape, generator=generator), alpha=0.1)
    return model.eval()


TRACKERS = dict(
    vit={},
    layer_scale=dict(backbone=VIT | dict(layer_scale_init_value=0.5)),
    no_bias=dict(backbone=VIT | dict(qkv_bias=False), elimination=CE),
    ce=dict(elimination=CE),
    ce_last=dict(elimination=CE | dict(blocks=(3, 0))),
    ce_off=dict(elimination=CE | dict(keep_ratio=1.0)),
    hiera=dict(backbone=HIERA),
)


def make(name):
    return randomized(build(**TRACKERS[name]))


def found(network, template, search):
    return network.locate(network.embed_template(template), search)


@pytest.mark.parametrize(
    ('name', 'sparse'), [*((name, True) for name in TRACKERS), ('ce', False), ('hiera', False)]
)
@torch.no_grad()
def test_finds_the_same(name, sparse):
    model = make(name)
    fused = fuse_for_tracking(model, sparse=sparse)
    template, search = pairs(model)
    want = found(model, template, search)
    torch.testing.assert_close(found(fused, template, search), want, rtol=1e-4, atol=1e-5)
    # rows do not depend on each other
    one = found(fused, template[1:2], search[1:2])
    torch.testing.assert_close(one, want[1:2], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('sparse', [True, False])
@torch.no_grad()
def test_box_is_that_of_the_whole_map_at_every_cell(sparse):
    """Also at the border, and where the cells around have no token."""
    torch.manual_seed(0)
    side, channels, kept = 6, 8, 20
    head = randomized(MODELS.build(dict(type='mmlite.CenterHead', in_channels=8, channels=16)))
    tokens, ids = torch.randn(1, kept, channels), torch.randperm(side**2)[None, :kept]
    places = torch.full((1, side**2 + 1), kept).scatter(1, ids, torch.arange(kept)[None])
    full = torch.zeros(1, side**2, channels).scatter(1, ids[..., None].expand(-1, -1, 8), tokens)
    maps = head(full.transpose(1, 2).unflatten(2, (side, side)))
    for cell in range(side**2):
        window = torch.full((side**2,), 1e-6)
        window[cell] = 1.0
        window = window.view(side, side)
        fused = FusedHead(head, window, sparse=sparse)
        want = head.decode(maps, window)
        for arguments in ((tokens, places), (full,)):
            got = fused(*arguments)
            torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)
        assert want[0, 4] == maps['score_map'].flatten()[cell]


@pytest.mark.parametrize(
    'name, plain, fused',
    [('vit-tiny', 2.845, 2.451), ('vit-tiny-ce', 2.188, 1.702)],
)
@torch.no_grad()
def test_macs_of_a_frame(name, plain, fused):
    model = recipe(name)
    template, search = pairs(model, 1)
    for network, gmac in ((model, plain), (fuse_for_tracking(model), fused)):
        macs, _ = count_macs(network.locate, network.embed_template(template), search)
        assert macs / 1e9 == pytest.approx(gmac, abs=2e-3)


@pytest.mark.parametrize('name', ['ce', 'hiera'])
@torch.no_grad()
def test_low_precision_stays_near(name):
    model = make(name)
    fused = fuse_for_tracking(model, torch.bfloat16)
    template, search = pairs(model)
    got, want = found(fused, template, search), found(model, template, search)
    assert got.dtype == torch.float32
    # of close scores another may win, but the winner's score is about the same
    torch.testing.assert_close(got[:, 5], want[:, 5], rtol=0, atol=0.03)
    assert not torch.equal(got, want)


def test_model_stays_as_it_was():
    model = make('ce').train()
    before = copy.deepcopy(model.state_dict())
    fused = fuse_for_tracking(model)
    assert all(module.training for module in model.modules())
    assert any(p.requires_grad for p in model.head.parameters())
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert not any(module.training for module in fused.modules())
    assert not any(p.requires_grad for p in fused.parameters())
    shared = {p.data_ptr() for p in model.parameters()}
    assert not shared & {p.data_ptr() for p in fused.parameters()}


def test_only_batch_norms_are_folded():
    model = make('vit')
    model.head.size[1][1] = nn.GroupNorm(1, 16)
    with pytest.raises(ArgumentError, match='can be folded, but the head has GroupNorm'):
        fuse_for_tracking(model)
