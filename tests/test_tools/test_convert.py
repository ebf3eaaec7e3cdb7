"""Converters: official files, converted, give what the official code gave, and lose nothing."""

import re

import golden
import pytest
import safetensors.torch
import timm.models.beit
import timm.models.hiera
import timm.models.vision_transformer
import torch
from official_files import FILES, converted, hiera_by_timm, mae_lite_finetuned, official, prefixed
from run_tool import run_tool
from torch import nn

from mmlite import stack
from mmlite.errors import CheckpointError
from mmlite.models import Hiera, OSTrack, SimpleFeaturePyramid, Swin, ViT
from mmlite.registry import MODELS
from mmlite.weights import convert, save, summary

CONVERT = 'model_converters/convert'
CLOSE = dict(rtol=1e-4, atol=1e-5)
VITDET = dict(
    arch='tiny',
    pretrain_img_size=224,
    with_cls_token=False,
    rel_pos='decomposed',
    window_size=14,
    global_blocks=(2, 5, 8, 11),
)


@pytest.fixture
def written(tmp_path):
    """Write a converted file and give its path."""

    def write(name):
        save(converted(name), tmp_path / f'{name}.pth')
        return str(tmp_path / f'{name}.pth')

    return write


def pretrained(path, cls=ViT, **kwargs):
    """A model with the weights of a file, the way that every config loads them."""
    model = cls(init_cfg=dict(type='Pretrained', checkpoint=path), **kwargs)
    model.init_weights()
    return model.eval()


def part(path, prefix):
    """Weights of a file whose names start with ``prefix``, without it."""
    state = stack.load(path)['state_dict']
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


# ---- golden forward passes of every source ------------------------------------------------------


@torch.no_grad()
def test_mae_lite_finetuned_logits_through_the_command(tmp_path, capsys):
    src, dst = str(tmp_path / 'mae_tiny_ft.pth.tar'), str(tmp_path / 'tiny.pth')
    torch.save(mae_lite_finetuned(), src)
    assert run_tool(CONVERT, src, dst, '--source', 'mae-lite') == 0
    model = pretrained(dst, out_type='avg_featmap', rel_pos='bias')
    head = nn.Linear(192, 10)
    head.load_state_dict(part(dst, 'head.fc.'))
    logits = head(model(golden.images(224))[0])
    torch.testing.assert_close(logits, golden.tensors('vit_tiny_rpe')['logits'], **CLOSE)
    printed = capsys.readouterr().out
    assert f"init_cfg=dict(type='Pretrained', checkpoint='{dst}')" in printed
    assert "arch='tiny', rel_pos='bias'" in printed
    assert re.search(r'dropped +12 .*index buffers.*blocks\.\*\.attn \(12\)', printed)
    assert re.search(r'ignored +5 .*optimizer', printed)


@torch.no_grad()
def test_hiera_stages_and_logits(written):
    path, want = written('hiera'), golden.tensors('hiera_tiny')
    for index, stage in enumerate(pretrained(path, Hiera)(golden.images(224))):
        got = stage.permute(0, 2, 3, 1)[:, ::3, ::3, ::5]
        torch.testing.assert_close(got, want[f'stage{index}'], **CLOSE)
    head = nn.Linear(368, 10)
    head.load_state_dict(part(path, 'head.fc.'))
    (pooled,) = pretrained(path, Hiera, out_type='avg_featmap')(golden.images(224))
    torch.testing.assert_close(head(pooled).softmax(-1), want['logits'], **CLOSE)


@torch.no_grad()
def test_vitdet_pyramid(written):
    path, want = written('vitdet_320'), golden.tensors('vitdet_tiny_320')
    (last,) = pretrained(path, img_size=320, **VITDET)(golden.images(320, batch=1))
    torch.testing.assert_close(last[:, ::8, ::3, ::3], want['last_feat'], **CLOSE)
    neck = SimpleFeaturePyramid(192)
    neck.load_state_dict(part(path, 'neck.'))
    for level, map_ in enumerate(neck((last,)), start=2):
        step = max(1, map_.shape[-1] // 12)
        got = map_[:, ::16, ::step, ::step]
        torch.testing.assert_close(got, want[f'p{level}'], **CLOSE)


def test_ostrack_loads_strictly():
    backbone = dict(type='mmlite.ViT', with_cls_token=False, out_type='raw')
    model = OSTrack(backbone, dict(type='mmlite.CenterHead', in_channels=192))
    model.load_state_dict(converted('ostrack')['state_dict'])
    assert model.head.ctr[0][1].num_batches_tracked == 7


SAME_BACKBONE = [
    ('timm', 'deit', 'mae_lite_moco', 'mae_lite_plain'),
    ('mae', 'mae_lite_mae'),
    ('hiera', 'timm_hiera'),
    ('hiera_mae', 'mae_lite_hiera'),
]


@pytest.mark.parametrize('names', SAME_BACKBONE, ids=lambda names: names[0])
def test_one_backbone_in_every_wrapper(names):
    one, *others = (
        {k: v for k, v in converted(name)['state_dict'].items() if k.startswith('backbone.')}
        for name in names
    )
    for other in others:
        torch.testing.assert_close(other, one, rtol=0, atol=0)


# ---- variants of the plain ViT, against timm ----------------------------------------------------

SMALL = dict(img_size=64, patch_size=16, embed_dim=24, depth=2, num_heads=3, num_classes=5)
BEIT = dict(SMALL, use_abs_pos_emb=False, init_values=0.1, global_pool='token')
VARIANTS = dict(
    plain=('VisionTransformer', {}),
    layer_scale=('VisionTransformer', dict(init_values=0.1)),
    no_class_token=('VisionTransformer', dict(class_token=False, global_pool='avg', fc_norm=False)),
    class_token_without_position=('VisionTransformer', dict(no_embed_class=True)),
    no_qkv_bias=('VisionTransformer', dict(qkv_bias=False)),
    wide_mlp_small_patch=('VisionTransformer', dict(mlp_ratio=2.5, patch_size=8)),
    bias_tables=('Beit', dict(BEIT, use_rel_pos_bias=True)),
    shared_bias_table=('Beit', dict(BEIT, use_shared_rel_pos_bias=True)),
    absolute_and_bias=('Beit', dict(BEIT, use_abs_pos_emb=True, use_rel_pos_bias=True)),
)


@pytest.mark.parametrize(('kind', 'kwargs'), VARIANTS.values(), ids=VARIANTS)
@torch.no_grad()
def test_variants_give_the_tokens_of_timm(tmp_path, kind, kwargs):
    """The backbone that the report proposes gives the same tokens, with no weight made up."""
    torch.manual_seed(0)
    module = timm.models.beit if kind == 'Beit' else timm.models.vision_transformer
    source = getattr(module, kind)(**SMALL | kwargs).eval()
    for parameter in source.parameters():
        nn.init.normal_(parameter, std=0.2)
    result = convert(source.state_dict(), 'timm', heads=3)
    save(result, tmp_path / 'a.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'a.pth'))
    cfg = result['report']['backbone_cfg'] | dict(out_type='raw', init_cfg=init_cfg)
    model = MODELS.build(cfg)
    model.init_weights()
    x = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(model.eval()(x)[0], source.forward_features(x), **CLOSE)
    zeros = {k for k, v in result['state_dict'].items() if not v.any()}
    assert {new for new, keys in result['report']['origins'].items() if not keys} == zeros
    assert ('qkv_bias' in kwargs) == any('qkv' in k for k in zeros)


def test_timm_names_of_hiera_are_those_of_timm():
    with torch.device('meta'):
        model = timm.models.hiera.Hiera(embed_dim=46, stages=(1, 2, 7, 2), num_classes=10)
    assert {k: v.shape for k, v in model.state_dict().items()} == {
        k: v.shape for k, v in hiera_by_timm().items()
    }


def test_distillation_token_goes_with_its_row():
    plain = official('vit_tiny')
    rows = plain['pos_embed']
    distilled = plain | dict(
        dist_token=torch.ones(1, 1, 192),
        pos_embed=torch.cat([rows[:, :1], torch.ones(1, 1, 192), rows[:, 1:]], dim=1),
    )
    distilled['head_dist.weight'] = torch.ones(10, 192)
    result = convert(distilled, 'deit')
    want = convert(plain, 'deit')['state_dict']
    torch.testing.assert_close(result['state_dict'], want, rtol=0, atol=0)
    assert set(result['report']['dropped']) == {'dist_token', 'head_dist.weight'}


def test_classifier_behind_dropped_layers_is_dropped_too():
    """It would read other features than it was trained on."""
    result = convert(official('vit_tiny') | {'attn_pool.q.weight': torch.zeros(192, 192)}, 'timm')
    dropped = {'head.weight', 'head.bias', 'attn_pool.q.weight'}
    assert set(result['report']['dropped']) == dropped
    assert not any(key.startswith('head.') for key in result['state_dict'])


# ---- nothing is lost ----------------------------------------------------------------------------

#: What is dropped: start of the key without wrappers, and number of keys.
DROPPED = dict(
    mae_lite_finetuned=(r'blocks\.\d+\.attn\.relative_position_index', 12),
    mae_lite_mae=(r'decoder_|mask_token', 20),
    mae_lite_d2=(r'decoder_|mask_token|blocks\.12\.|attn_adapter\.|tch_model\.', 26),
    mae_lite_moco=(r'base_encoder\.head\.|momentum_encoder\.|predictor\.', 2 + 152 + 1),
    mae_lite_plain=(r'lm_head\.|mask_token', 2),
    mae_lite_hiera=(r'decoder_|mask_token|encoder_norm|multi_scale_fusion_heads', 26),
    swin=(r'decoder|encoder\.norm|.*attn_mask', 24),
    swin_d2=(
        r'decoder|encoder\.(norm|layers\.3\.blocks\.2)|.*attn_mask|attn_adapter|tch_model',
        31,
    ),
    swin_d2_kept=(r'.*attn_mask', 5),
    swin_teacher=(r'.*attn_mask', 5),
    mae=(r'decoder_|mask_token', 20),
    hiera_mae=(r'decoder_|mask_token|encoder_norm|multi_scale_fusion_heads', 26),
    vitdet_640=('pixel_mean', 1),
    ostrack=(r'backbone\.cls_token', 1),
)


@pytest.mark.parametrize('name', FILES)
def test_every_key_is_converted_or_listed_as_dropped(name):
    make, source, options = FILES[name]
    contents = make()
    box = next((k for k in ('model', 'model_state', 'net') if k in contents), None)
    weights = contents if box is None else contents[box]
    result = convert(contents, source, **options)
    report, state = result['report'], result['state_dict']
    origins, dropped = report['origins'], report['dropped']
    used = {key for keys in origins.values() for key in keys}
    assert used | dropped.keys() == weights.keys() and not used & dropped.keys()
    pattern, count = DROPPED.get(name, ('', 0))
    bare = [re.sub(r'^(module\.)?(model\.)?', '', key) for key in dropped]
    assert len(bare) == count and all(re.match(pattern, key) for key in bare)
    assert origins.keys() == state.keys()
    for new, (key,) in origins.items():
        torch.testing.assert_close(state[new], weights[key], rtol=0, atol=0)
    assert set(report['beside']) == (set() if box is None else contents.keys() - {box})
    counts = re.findall(r'^  (?:converted|dropped) +(\d+)  ', summary(result, 'a.pth'), re.M)
    assert sum(map(int, counts)) == len(weights)


def test_kept_parts_have_their_official_names():
    state = converted('hiera_mae_kept')['state_dict']
    kept = {key: value for key, value in state.items() if not key.startswith('backbone.')}
    want = official('hiera_mae_tiny')
    assert len(kept) == 26 and {'mask_token', 'encoder_norm.weight'} <= kept.keys()
    torch.testing.assert_close(kept, {key: want[key] for key in kept}, rtol=0, atol=0)
    d2 = converted('mae_lite_d2_kept')
    names = {'tch_model.cls_token', 'attn_adapter.adapter11.weight', 'blocks.12.norm1.weight'}
    assert names <= d2['state_dict'].keys()
    assert d2['meta']['license'] == 'Apache-2.0 (tch_model: CC-BY-NC 4.0)'


def test_saved_tensors_share_no_storage(tmp_path):
    """Views of one big tensor, and a table copied to all blocks, are stored one by one."""
    whole = torch.zeros(1000, 192)
    result = convert(official('vit_tiny') | {'norm.weight': whole[0]}, 'timm')
    assert result['state_dict']['backbone.norm.weight'].untyped_storage().nbytes() == 192 * 4
    tables = {'rel_pos_bias.relative_position_bias_table': torch.ones(732, 12)}
    result = convert(dict(model=official('vit_tiny') | tables), 'mae-lite')
    table = 'backbone.blocks.{}.attn.relative_position_bias_table'
    assert len({result['state_dict'][table.format(i)].data_ptr() for i in range(12)}) == 12


# ---- what is recorded, and what it is for -------------------------------------------------------


@pytest.mark.parametrize(
    ('name', 'model', 'license_name', 'heads_from'),
    [
        ('mae_lite_d2', ViT(), 'Apache-2.0', 'what mae-lite builds with 192 channels'),
        ('mae_lite_finetuned', ViT(rel_pos='bias'), 'Apache-2.0', 'relative position tables'),
        ('mae', ViT(), 'CC-BY-NC 4.0', 'option'),
        ('hiera', Hiera(), 'CC-BY-NC 4.0', 'what hiera builds with 46 channels'),
        ('hiera_mae', Hiera(), 'CC-BY-NC 4.0', 'what hiera builds with 46 channels'),
        ('timm_hiera', Hiera(), 'unknown', 'what timm builds with 46 channels'),
        ('swin_d2', Swin(), 'Apache-2.0', 'relative position tables'),
        ('swin_teacher', Swin('tiny'), 'MIT', 'relative position tables'),
        ('vitdet_640', ViT(**VITDET, img_size=640), 'unknown', 'relative position tables'),
        ('ostrack', ViT(), 'unknown', 'what ostrack builds with 192 channels'),
    ],
)
def test_meta_describes_the_backbone(name, model, license_name, heads_from):
    result = converted(name)
    assert result['meta'] == dict(
        backbone=model.describe(),
        license=license_name,
        source=FILES[name][1],
        num_heads_from=heads_from,
    )
    proposed = MODELS.build(result['report']['backbone_cfg']).state_dict()
    given = {k.removeprefix('backbone.'): v for k, v in result['state_dict'].items()}
    for key in proposed.keys() - {'norm.weight', 'norm.bias'}:
        assert given[key].shape == proposed[key].shape


def test_safetensors_become_safetensors_that_load(tmp_path):
    src, dst = str(tmp_path / 'timm.safetensors'), str(tmp_path / 'tiny.safetensors')
    safetensors.torch.save_file(official('vit_tiny'), src, {'format': 'pt'})
    (tmp_path / 'tiny.safetensors').touch()
    assert run_tool(CONVERT, src, dst, '--source', 'timm', '--heads', 12, '--force') == 0
    read, want = stack.load(dst), converted('timm')
    torch.testing.assert_close(read['state_dict'], want['state_dict'], rtol=0, atol=0)
    assert read['meta'] == want['meta'] | dict(format='pt')
    pretrained(dst)
    with pytest.raises(CheckpointError, match='num_heads=12 but .* num_heads=3'):
        pretrained(dst, arch=dict(embed_dims=192, num_layers=12, num_heads=3))


@pytest.mark.parametrize(
    'prefix', ['_orig_mod.', 'module._orig_mod.', 'model.', 'model._orig_mod.']
)
def test_prefixes_of_wrappers(prefix):
    lightning = {'pytorch-lightning_version': '2.0'} if prefix.startswith('model.') else {}
    given = dict(state_dict=prefixed(prefix, official('vit_tiny')), **lightning)
    plain = convert(dict(state_dict=official('vit_tiny')), 'timm')['state_dict']
    torch.testing.assert_close(convert(given, 'timm')['state_dict'], plain, rtol=0, atol=0)
