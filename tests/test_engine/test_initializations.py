"""--init: the names of pre-trainings, the backbones and layer decays that they need."""

import re

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from run_tool import run_tool
from tiny_pretrain import save_backbone

from mmlite.engine.config_file import load_config
from mmlite.engine.initializations import METHODS, set_init
from mmlite.errors import UserError
from mmlite.registry import MODELS
from mmlite.utils.paths import suite_path

CONFIGS = suite_path('configs')
LEAVES = sorted(p.relative_to(CONFIGS) for p in CONFIGS.glob('[cdst]*/*-init_*.py'))
CLS = 'cls/vit-tiny_8xb128-coslr-300e_in1k.py'
TASKS = dict(
    cls=CLS,
    det='det/mask-rcnn_vit-tiny-sfp_8xb8-amp-lsj-100e_coco-640px.py',
    seg='seg/upernet_vit-tiny_8xb2-amp-160k_ade20k-512x512.py',
    track='track/ostrack_vit-tiny-ce_4xb32-300e_sot-256px.py',
)
SMALL = dict(embed_dims=24, num_layers=3, num_heads=3)
TABLE = 'relative_position_bias_table'


def read(path, init=None):
    return load_config(CONFIGS / path, {'--init': init} if init else {})


@pytest.mark.parametrize('leaf', LEAVES, ids=str)
def test_the_option_gives_the_recipes_that_have_a_file(leaf):
    """The same backbone, checkpoint, normalization and layer decay."""
    name = re.search(r'_([a-z0-9-]+)-init_', leaf.name)[1]
    ours, theirs = read(str(leaf).replace(f'_{name}-init', ''), name), read(leaf)
    assert ours.model == theirs.model
    assert ours.optim_wrapper == theirs.optim_wrapper


def recipes(name):
    """Configs of the pre-training of a name, at 400 epochs on ImageNet-1K."""
    method = name.removesuffix('-shared-bias')
    form = name.removeprefix(method)
    return list((CONFIGS / 'pretrain' / method).glob(f'{method}_vit-tiny{form}_8x*-400e_in1k.py'))


@pytest.mark.parametrize('task', TASKS)
@pytest.mark.parametrize('name', [name for name in METHODS if recipes(name)])
def test_all_weights_have_their_place_in_every_task(name, task, tmp_path):
    """Tables of windows and LayerScale too; tables of larger grids are resampled."""
    if task == 'track' and 'shared-bias' in name:
        with pytest.raises(UserError, match=f'{name} has relative position tables'):
            read(TASKS[task], name)
        return
    (recipe,) = recipes(name)
    given = ConfigDict(load_config(recipe).model.backbone, arch=SMALL, img_size=224)
    torch.manual_seed(0)
    source = MODELS.build(given)
    for parameter in filter(lambda p: p.requires_grad, source.parameters()):
        torch.nn.init.normal_(parameter)
    path = save_backbone(tmp_path / 'a.pth', source)
    cfg = read(TASKS[task], f'{name}={path}')
    cfg.model.backbone.arch = SMALL
    if 'out_indices' in cfg.model.backbone:
        cfg.model.backbone.out_indices = (0, 1, 2)
    if 'global_blocks' in cfg.model.backbone:
        cfg.model.backbone.global_blocks = (2,)
    init_default_scope('mmlite')
    backbone = MODELS.build(cfg.model.backbone)
    backbone.init_weights()
    theirs, taken = source.state_dict(), backbone.state_dict()
    unused = {'norm.weight', 'norm.bias', 'cls_token'} - taken.keys()
    assert theirs.keys() - taken.keys() <= unused
    for key in theirs.keys() & taken.keys():
        resampled = key == 'pos_embed' and task == 'seg' or TABLE in key
        if not resampled or taken[key].shape == theirs[key].shape:
            assert torch.equal(taken[key], theirs[key]), key
    if 'shared-bias' in name:
        assert not taken['pos_embed'].any()
        assert taken[f'blocks.2.attn.{TABLE}'].std() > 0.5
    size = dict(cls=64, det=224, seg=64, track=64)[task]
    assert backbone(torch.rand(1, 3, size, size))[0].isfinite().all()


@pytest.mark.parametrize('init, heads', [('mae', 12), ('mocov3', 6), ('mocov3=a.pth', 6)])
def test_vit_small_has_the_heads_and_the_decay_of_its_weights(init, heads):
    """Also where an option sets the architecture: a wrong number of heads would load."""
    cfg = load_config(CONFIGS / CLS, {'--init': init, 'model.backbone.arch': 'small'})
    backbone = MODELS.build(cfg.model.backbone)
    assert (backbone.arch['embed_dims'], backbone.arch['num_heads']) == (384, heads)
    assert cfg.optim_wrapper.paramwise_cfg.layer_decay_rate == 0.75
    assert 'small' in cfg.model.backbone.init_cfg.checkpoint or '=' in init


def test_the_layer_decay_is_the_methods_where_the_recipe_leaves_it_open():
    def decay(path, init, arch='tiny'):
        cfg = load_config(CONFIGS / path)
        cfg.model.backbone.arch = arch
        set_init(cfg, init)
        return (cfg.optim_wrapper.get('paramwise_cfg') or {}).get('layer_decay_rate')

    assert [decay(CLS, name) for name in ('scratch', 'mae', 'mocov3', 'dino=a.pth', 'a.pth')] == [
        1.0, 0.85, 0.75, 0.75, 0.85
    ]  # fmt: skip
    assert decay(CLS.replace('tiny_', 'tiny_mae-init_'), 'scratch') == 1.0
    assert decay(CLS, 'mae', 'small') == 0.75
    assert decay('cls/vit-tiny_8xb128-coslr-300e_inat18.py', 'd2-mae') == 0.85
    for kind in ('vit', 'hiera'):  # one recipe for all initializations
        small = f'shapes/cls/{kind}-tiny_8xb128-coslr-300e_in1k_shapes.py'
        assert decay(small, 'mocov3=a.pth') == 1.0
    blocks = 'cls/vit-tiny_reserve-blocks_1xb1024-amp-coslr-100e_in1k.py'
    assert decay(blocks, 'mocov3') == 0.75
    assert read(blocks, 'mocov3').model.backbone.init_cfg.reserve_blocks == 12
    assert decay('cls/vit-tiny_1xb512-amp-coslr-150e_pets.py', 'mae') == 0.75  # Table S2's
    assert [decay(TASKS[t], 'mocov3') for t in ('det', 'seg', 'track')] == [None, 0.8, None]


TRUNCATED = dict(type='TruncNormal', std=0.02)


@pytest.mark.parametrize(
    ('current', 'scratch'),
    [
        (dict(), None),
        (dict(init_cfg=None), None),
        (dict(init_cfg=TRUNCATED), TRUNCATED),
        (dict(init_cfg=dict(type='Pretrained', checkpoint='a.pth', prefix='x.')), None),
        (dict(init_cfg=[dict(type='Pretrained', checkpoint='a.pth')]), None),
    ],
)
def test_it_replaces_the_initialization_of_the_config(current, scratch):
    """Of a backbone that is not the suite's, too."""
    found = []
    for text in ('scratch', 'beit=b/c=1.pth'):
        cfg = ConfigDict(model=dict(backbone=dict(current, type='ResNet', depth=18)))
        set_init(cfg, text)
        found.append(cfg.model.backbone)
    assert found[0].get('init_cfg') == scratch and found[0].depth == 18
    pretrained = dict(type='Pretrained', checkpoint='b/c=1.pth')
    assert found[1] == dict(type='ResNet', depth=18, init_cfg=pretrained)


HIERA = 'cls/hiera-tiny_8xb128-coslr-300e_in1k.py'
MISTAKES = {
    (CLS, 'mocov4'): '--init mocov4 is neither a file nor one of supervised, .*near names: mocov3',
    (CLS, 'mae='): "--init 'mae=' must have a checkpoint after =",
    (HIERA, 'simmim'): '--init simmim knows checkpoints of vit-tiny, .* builds hiera-tiny: write',
    (CLS, 'mae'): "init_cfg.checkpoint='checkpoints/mae_vit-tiny_400e_in1k.pth' does not exist",
}


@pytest.mark.parametrize(('path', 'init'), MISTAKES)
def test_a_mistake_is_one_sentence(path, init, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr('mmlite.engine.check_config.check_data', lambda *args: None)
    assert run_tool('train', CONFIGS / path, '--init', init, '--work-dir', tmp_path) in (1, 2)
    (error,) = capsys.readouterr().err.splitlines()
    assert re.search(MISTAKES[path, init], error)


@pytest.mark.parametrize('task', TASKS)
def test_eupe_has_its_form_in_every_task(task):
    """Rotary positions and three heads; registers where there are no windows and no tracker."""
    cfg = read(TASKS[task], 'eupe')
    assert cfg.model.backbone.init_cfg.checkpoint.startswith('timm/vit_tiny_patch16_dinov3_qkvb.')
    init_default_scope(cfg.default_scope)
    with torch.device('meta'):
        backbone = MODELS.build(cfg.model.backbone)
    assert (
        backbone.rope is not None
        and backbone.num_heads == 3
        and backbone.blocks[0].norm1.eps == 1e-5
    )
    assert backbone.num_prefix_tokens == (5 if task in ('cls', 'seg') else 0)
    assert not any('rel_pos' in name or 'relative' in name for name in backbone.state_dict())
