"""Loading pre-trained weights: what is used is said, what does not fit is refused."""

import numpy as np
import pytest
import torch
from task_recipes import table_rows

from mmlite.errors import ArgumentError, CheckpointError
from mmlite.models import Hiera, ViT
from mmlite.models.weights import load_exactly, read_weights

TINY = dict(embed_dims=24, num_layers=2, num_heads=3)


def save(path, model, prefix='backbone.', meta=None, **extra):
    state = {prefix + key: value for key, value in (model.state_dict() | extra).items()}
    torch.save(dict(state_dict=state, meta=meta or {}), path)
    return str(path)


def build(checkpoint, **kwargs):
    model = ViT(TINY, init_cfg=dict(type='Pretrained', checkpoint=checkpoint), **kwargs)
    model.init_weights()
    return model


def pretrained(**kwargs):
    torch.manual_seed(0)
    return ViT(TINY, img_size=64, out_type='raw', **kwargs).eval()


def test_another_task_and_size_gets_resampled_tables_and_a_report(tmp_path, log):
    source = pretrained(rel_pos='bias')
    path = save(tmp_path / 'a.pth', source, decoder_embed=torch.zeros(2))
    model = build(path, img_size=96, rel_pos='bias', layer_scale_init_value=1.0)
    table = 'blocks.0.attn.relative_position_bias_table'
    assert model.state_dict()['pos_embed'].shape == (1, 37, 24)
    assert model.state_dict()[table].shape == (11 * 11 + 3, 3)
    torch.testing.assert_close(model.blocks[1].mlp.fc1.weight, source.blocks[1].mlp.fc1.weight)
    assert f'weights of {path}' in log.text
    keys = {name: shown for name, (_, shown) in table_rows(log.text).items()}
    assert 'pos_embed' in keys['resampled'] and 'blocks.*.attn (2)' in keys['resampled']
    assert 'blocks.*.ls1' in keys['not in file']
    assert 'norm' in keys['left over'] and 'decoder_embed' in keys['left over']
    assert 'the config builds no' not in log.text


@pytest.mark.parametrize(
    ('form', 'lost'),
    [
        (dict(layer_scale_init_value=0.1), 'blocks.*.ls1 (2), blocks.*.ls2 (2)'),
        (dict(rel_pos='bias'), 'blocks.*.attn (2)'),
    ],
)
def test_parts_of_blocks_without_a_place_are_a_warning(form, lost, tmp_path, log):
    build(path := save(tmp_path / 'a.pth', pretrained(**form)), img_size=64)
    assert f'the config builds no {lost}, which the blocks of {path} had' in log.text


def test_runner_style_loading_resamples_too():
    """load_state_dict itself resamples, so load_from and resume work at another size."""
    source, model = pretrained(), ViT(TINY, img_size=96, out_type='raw')
    model.load_state_dict(source.state_dict())
    assert model.pos_embed.shape == (1, 37, 24)
    torch.testing.assert_close(model.pos_embed[:, 0], source.pos_embed[:, 0])


def test_decomposed_tables_of_another_window_are_resized(tmp_path):
    kwargs = dict(with_cls_token=False, rel_pos='decomposed', window_size=2, img_size=64)
    source = ViT(TINY, **kwargs)
    path = save(tmp_path / 'a.pth', source)
    model = build(path, **dict(kwargs, window_size=4))
    assert model.blocks[0].attn.rel_pos_h.shape == (7, 8)


def test_heads_are_compared_where_shapes_cannot_tell(tmp_path, log):
    source = pretrained()
    path = save(tmp_path / 'a.pth', source, meta=dict(backbone=source.describe()))
    six = dict(TINY, num_heads=6)
    model = ViT(six, init_cfg=dict(type='Pretrained', checkpoint=path), img_size=64)
    with pytest.raises(CheckpointError, match=r'a\.pth: .* num_heads=3 but .* num_heads=6'):
        model.init_weights()
    build(path, img_size=64)
    assert 'does not record' not in log.text
    build(save(tmp_path / 'b.pth', source), img_size=64)
    assert 'does not record its architecture: taken to have num_heads=3' in log.text


def test_other_shapes_are_refused(tmp_path):
    wide = ViT(dict(embed_dims=48, num_layers=2, num_heads=3), img_size=64)
    path = save(tmp_path / 'a.pth', wide)
    with pytest.raises(CheckpointError, match=r'has shape .*48.* but the config builds .*24'):
        build(path, img_size=64)


def test_a_missing_trunk_is_refused(tmp_path):
    path = save(tmp_path / 'a.pth', torch.nn.Linear(2, 2), 'head.')
    with pytest.raises(CheckpointError, match=r"parameters of ViT are not in it.*'pos_embed'"):
        build(path, img_size=64)
    model = ViT(TINY, init_cfg=dict(type='Pretrained', checkpoint=path, prefix='backbone.'))
    with pytest.raises(CheckpointError, match=r"no key starts with 'backbone\.'.*head\."):
        model.init_weights()


def test_hiera_loads_another_size_and_number_of_poolings(tmp_path):
    arch = dict(embed_dims=8, num_layers=(1, 1, 2, 1), num_heads=1)
    source = Hiera(arch, img_size=64, q_pool=2, out_type='raw')
    path = save(tmp_path / 'a.pth', source, meta=dict(backbone=source.describe()))
    model = Hiera(arch, img_size=96, init_cfg=dict(type='Pretrained', checkpoint=path))
    model.init_weights()
    assert model.pos_embed.shape == (1, 24 * 24, 8)
    torch.testing.assert_close(model.blocks[4].mlp.fc1.weight, source.blocks[4].mlp.fc1.weight)
    with pytest.raises(CheckpointError, match='embed_dims=8 but .* embed_dims=16'):
        wide = Hiera(dict(arch, embed_dims=16), init_cfg=dict(type='Pretrained', checkpoint=path))
        wide.init_weights()


# ---- reserved leading blocks ---------------------------------------------------------------------


def filled(cls, **kwargs):
    """A backbone whose every parameter differs from any initialisation."""
    source = cls(**kwargs)
    with torch.no_grad():
        for parameter in source.parameters():
            parameter.fill_(7)
    return source


VIT3 = dict(arch=dict(embed_dims=24, num_layers=3, num_heads=3), img_size=64)
HIERA5 = dict(arch=dict(embed_dims=8, num_layers=(1, 1, 2, 1), num_heads=1), img_size=64)


@pytest.mark.parametrize(
    ('cls', 'kwargs', 'count'),
    [
        *((ViT, dict(VIT3, out_type='raw', rel_pos='bias'), count) for count in range(4)),
        *((Hiera, dict(HIERA5, out_type='raw'), count) for count in (0, 2, 5)),
    ],
)
def test_only_the_embedding_and_the_leading_blocks_are_loaded(cls, kwargs, count, tmp_path, log):
    """With 0, the embedding starts at random, too (MAE-Lite, Fig. 4)."""
    source = filled(cls, **kwargs)
    path = save(tmp_path / 'a.pth', source, meta=dict(backbone=source.describe()))
    cfg = dict(type='Pretrained', checkpoint=path, reserve_blocks=count)
    model = cls(**kwargs, init_cfg=cfg)
    model.init_weights()
    loaded = {key for key, value in model.state_dict().items() if (value == 7).all()}
    heads = {f'blocks.{index}.' for index in range(count)}
    heads |= {'pos_embed', 'patch_embed.', 'cls_token'} if count else set()
    assert loaded == {key for key in source.state_dict() if key.startswith(tuple(heads))}
    rows = {name: number for name, (number, _) in table_rows(log.text).items()}
    everything = len(source.state_dict())
    assert rows['used'] == len(loaded) and rows['not reserved'] == everything - len(loaded)
    assert rows['not in file'] == rows['left over'] == 0


def test_blocks_that_are_not_reserved_may_be_missing_or_of_another_shape(tmp_path):
    """Only what is to be taken must fit."""
    source = filled(ViT, **VIT3, out_type='raw')
    path = save(tmp_path / 'a.pth', source)
    contents = torch.load(path)
    for key in [k for k in contents['state_dict'] if '.blocks.2.' in k]:
        del contents['state_dict'][key]
    torch.save(contents, path)
    init_cfg = dict(type='Pretrained', checkpoint=path, reserve_blocks=2)
    model = ViT(**VIT3, init_cfg=init_cfg)
    model.init_weights()
    assert (model.blocks[1].mlp.fc1.weight == 7).all()
    assert not (model.blocks[2].mlp.fc1.weight == 7).any()
    with pytest.raises(CheckpointError, match="'blocks.2.norm1.weight'"):
        ViT(**VIT3, init_cfg=dict(init_cfg, reserve_blocks=3)).init_weights()


@pytest.mark.parametrize('count', [4, -1, 1.5, True, '2'])
def test_a_wrong_number_of_reserved_blocks_is_named(count, tmp_path):
    path = save(tmp_path / 'a.pth', ViT(**VIT3))
    init_cfg = dict(type='Pretrained', checkpoint=path, reserve_blocks=count)
    with pytest.raises(ArgumentError, match=r'reserve_blocks=.*: ViT has 3 blocks, write 0 to 3'):
        ViT(**VIT3, init_cfg=init_cfg).init_weights()


# ---- checkpoints of wrapped models and of other libraries ----------------------------------------


@pytest.mark.parametrize('wrapper', ['', 'module.', '_orig_mod.', 'module._orig_mod.'])
@pytest.mark.parametrize('box', [None, 'state_dict', 'model', 'net'])
def test_prefixes_of_wrappers_and_keys_of_other_libraries(wrapper, box):
    weights = {'backbone.a': torch.arange(2.0), 'head.b': np.ones(3)}
    contents = {wrapper + key: value for key, value in weights.items()}
    contents = contents if box is None else {box: contents, 'epoch': 3}
    assert read_weights(contents, 'a.pth').keys() == weights.keys()
    assert read_weights(contents, 'a.pth', None)['a'].tolist() == [0, 1]
    assert read_weights(contents, 'a.pth', 'head.')['b'].tolist() == [1, 1, 1]


def test_a_checkpoint_without_weights_is_refused():
    with pytest.raises(CheckpointError, match=r'a\.pth: it holds no weights'):
        read_weights({'state_dict': {}}, 'a.pth')
    with pytest.raises(CheckpointError, match=r"a\.pth: 'epoch' is of type int, not a tensor"):
        read_weights({'epoch': 3}, 'a.pth')


def test_exact_weights_are_all_and_no_others():
    torch.manual_seed(0)
    source, model = torch.nn.BatchNorm1d(2), torch.nn.BatchNorm1d(2)
    torch.nn.init.normal_(source.weight)
    weights = source.state_dict()
    del weights['num_batches_tracked']  # old files lack it
    load_exactly(model, dict(state_dict=weights), 'a.pth')
    assert torch.equal(model.weight, source.weight)
    for name, change, message in (
        ('left over', {'x': torch.ones(1)}, r"1 of its 5 tensors have no place .*'x'"),
        ('shape', {'bias': torch.ones(3)}, r"'bias' has shape \(3,\), but the config builds \(2,"),
    ):
        with pytest.raises(CheckpointError, match=message):
            load_exactly(model, weights | change, name)
    del weights['bias']
    with pytest.raises(CheckpointError, match=r"1 of 5 tensors are not in it \(first 'bias'\)"):
        load_exactly(model, weights, 'missing')
