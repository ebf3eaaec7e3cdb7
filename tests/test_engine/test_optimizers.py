"""Groups of the layer-decay constructor: rates and decays by name, few groups, any top module."""

from types import SimpleNamespace

import pytest
import tiny
import torch
from mmengine.optim import build_optim_wrapper
from torch import nn

from mmlite.engine.config_file import load_config
from mmlite.errors import UserError
from mmlite.registry import MODELS

LR, WD = 1e-3, 0.05


def build(model, **paramwise):
    cfg = dict(
        type='OptimWrapper',
        optimizer=dict(type='AdamW', lr=LR, weight_decay=WD),
        constructor='mmlite.LayerDecayOptimWrapperConstructor',
        paramwise_cfg=paramwise,
    )
    return build_optim_wrapper(model, cfg)


def by_name(wrapper):
    """Name -> (learning-rate factor, weight-decay factor)."""
    return {
        name: (round(group['lr'] / LR, 4), round(group['weight_decay'] / WD, 4))
        for group in wrapper.optimizer.param_groups
        for name in group['param_names']
    }


def test_without_options_there_is_one_group_of_trainable_parameters():
    model = tiny.TinyModel()
    model.head.requires_grad_(False)
    wrapper = build(model)
    (group,) = wrapper.optimizer.param_groups
    assert set(group['param_names']) == {n for n, p in model.named_parameters() if p.requires_grad}
    assert (group['lr'], group['weight_decay']) == (LR, WD)
    assert not any(n.startswith('head') for n in group['param_names'])


@pytest.mark.parametrize(('rate', 'first'), [(0.85, 0.1209), (0.75, 0.0238)])
def test_vit_tiny_rates(rate, first):
    model = nn.Module()
    model.backbone = MODELS.build(dict(type='mmlite.ViT', arch='tiny'))
    model.head = nn.Linear(192, 2)
    factors = {name: lr for name, (lr, _) in by_name(build(model, layer_decay_rate=rate)).items()}
    assert factors['backbone.pos_embed'] == factors['backbone.patch_embed.proj.weight'] == first
    for block in range(12):
        assert factors[f'backbone.blocks.{block}.attn.qkv.weight'] == round(rate ** (12 - block), 4)
    assert factors['head.weight'] == factors['head.bias'] == 1
    rates = {group['lr'] for group in build(model, layer_decay_rate=rate).optimizer.param_groups}
    assert len(rates) == 14


def test_rates_and_decays_multiply_and_equal_ones_share_a_group():
    wrapper = build(
        tiny.TinyModel(),
        layer_decay_rate=0.5,
        norm_decay_mult=0.0,
        bias_decay_mult=0.2,
        flat_decay_mult=0.3,
        respect_no_weight_decay=True,
        custom_keys={'head': dict(lr_mult=3.0, decay_mult=0.5), 'head.bias': dict(lr_mult=2.0)},
    )
    assert by_name(wrapper) == {
        'backbone.pos_embed': (0.125, 0.0),
        'backbone.patch_embed.weight': (0.125, 1.0),
        'backbone.patch_embed.bias': (0.125, 0.2),
        'backbone.blocks.0.weight': (0.25, 1.0),
        'backbone.blocks.0.bias': (0.25, 0.2),
        'backbone.blocks.1.weight': (0.5, 1.0),
        'backbone.blocks.1.bias': (0.5, 0.2),
        'backbone.norm.weight': (1.0, 0.0),
        'backbone.norm.bias': (1.0, 0.0),
        'head.weight': (3.0, 0.5),
        'head.bias': (2.0, 1.0),  # the longer key wins
    }
    assert len(wrapper.optimizer.param_groups) == 10  # only the two of the norm are alike


class LN2d(nn.Module):
    """A norm that is not torch's own."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))
        self.table = nn.Parameter(torch.ones(3, 3))


@pytest.mark.parametrize(
    ('layer', 'norm', 'flat'),
    [
        (nn.LayerNorm(3), 0.0, 0.0),
        (nn.SyncBatchNorm(3), 0.0, 0.0),
        (nn.InstanceNorm2d(3, affine=True), 0.0, 0.0),
        (LN2d(), 1.0, 0.5),
        (nn.Linear(3, 3), 1.0, 1.0),
    ],
    ids=lambda x: type(x).__name__ if isinstance(x, nn.Module) else None,
)
def test_norm_rule_is_for_torch_norms_only(layer, norm, flat):
    model = nn.ModuleDict(dict(part=layer))
    assert by_name(build(model, norm_decay_mult=0.0))['part.weight'][1] == norm
    found = by_name(build(model, norm_decay_mult=0.0, flat_decay_mult=0.5))
    assert found['part.weight'][1] == flat
    assert found.get('part.table', (1, 1.0))[1] == 1.0


def test_shared_parameters_are_optimized_once():
    model = nn.ModuleDict(dict(a=nn.Linear(2, 2), b=nn.Linear(2, 2)))
    model.b.weight = model.a.weight
    names = [n for g in build(model).optimizer.param_groups for n in g['param_names']]
    assert sorted(names) == ['a.bias', 'a.weight', 'b.bias']


def test_the_coco_recipe_needs_two_groups():
    cfg = load_config('configs/det/mask-rcnn_vit-tiny-sfp_8xb8-amp-lsj-100e_coco-640px.py')
    with torch.device('meta'):
        model = MODELS.build(dict(cfg.model, _scope_='mmdet'))
    wrapper = build(model, **cfg.optim_wrapper.paramwise_cfg)
    factors = by_name(wrapper)
    assert len(wrapper.optimizer.param_groups) == 2
    exempt = {name for name, (_, decay) in factors.items() if decay == 0}
    norms = [f'backbone.blocks.{i}.norm{k}' for i in range(12) for k in (1, 2)]
    parts = {f'{norm}.{part}' for norm in norms for part in ('weight', 'bias')}
    assert exempt == parts | {'backbone.pos_embed'}
    assert len(factors) == sum(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize(
    ('paramwise', 'message'),
    [
        (dict(layer_decay=0.8), "takes no 'layer_decay'; did you mean 'layer_decay_rate'"),
        (
            dict(custom_keys=dict(x=dict(lr=1))),
            "x has a wrong key: a rule takes no 'lr'",
        ),
        (dict(layer_decay_rate=0.5), 'a backbone with get_layer_depth, and Linear has none'),
        (dict(respect_no_weight_decay=True), 'a backbone with no_weight_decay, and Linear has'),
    ],
)
def test_options_that_cannot_work_are_named(paramwise, message):
    model = nn.Module()
    model.backbone = nn.Linear(1, 1)
    build(model, layer_decay_rate=1.0)
    with pytest.raises(UserError, match=message):
        build(model, **paramwise)


def test_the_optimizer_must_give_what_is_scaled():
    cfg = dict(optimizer=dict(type='SGD', lr=0.1), constructor='mmlite.LayerDecayOptim'
               'WrapperConstructor', paramwise_cfg=dict(norm_decay_mult=0.0))  # fmt: skip
    with pytest.raises(UserError, match='norm_decay_mult needs weight_decay'):
        build_optim_wrapper(tiny.TinyModel(), cfg)
    cfg = dict(cfg, optimizer=dict(type='SGD'), paramwise_cfg={})
    with pytest.raises(UserError, match='needs a learning rate'):
        build_optim_wrapper(tiny.TinyModel(), cfg)
    cfg = dict(cfg, optimizer=dict(type='SGD', lr=0.1))
    wrapper = build_optim_wrapper(SimpleNamespace(module=tiny.TinyModel()), cfg)
    assert [group['weight_decay'] for group in wrapper.optimizer.param_groups] == [0]
