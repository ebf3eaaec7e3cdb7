"""What is read off a model: its layers, its input, its weights; names and configs of models."""

import weakref

import pytest
import timm
import tiny_pretrain
import torch
from tiny_pretrain import pixels, save_backbone
from torch import nn

from mmlite.analysis.inputs import ModelSource, build_model
from mmlite.analysis.tapped import TappedModel
from mmlite.errors import UserError
from mmlite.models import Hiera, Swin, ViT

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
SMALL = dict(embed_dims=24, num_layers=2, num_heads=3)
SMALL_HIERA = dict(embed_dims=8, num_layers=(1, 1, 2, 1), num_heads=1)


def normalised(images, mean=MEAN, std=STD):
    return (images.float() - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)


def random_model(backbone):
    """A model none of whose weights is at its trivial start."""
    torch.manual_seed(0)
    for parameter in backbone.parameters():
        nn.init.normal_(parameter, std=0.2)
    return TappedModel('model', backbone, MEAN, STD)


@pytest.mark.parametrize(
    'kwargs',
    [
        dict(out_type='raw'),
        dict(out_type='avg_featmap', rel_pos='bias'),
        dict(out_type='featmap', with_cls_token=False, window_size=2, rel_pos='decomposed'),
    ],
    ids=['cls', 'mean', 'windows'],
)
@torch.no_grad()
def test_layers_of_a_vit_are_inputs_behind_norms(kwargs):
    backbone = ViT(SMALL, img_size=32, patch_size=8, **kwargs)
    model = random_model(backbone)
    first = int(kwargs.get('with_cls_token', True))
    tokens = backbone.embed(normalised(pixels()))
    want = []
    for block in backbone.blocks:
        want.append(block.norm1(tokens)[:, first:])
        tokens, _ = block(tokens, (4, 4))
    final = {
        'raw': lambda x: backbone.norm(x),
        'avg_featmap': lambda x: backbone.fc_norm(x),
        'featmap': lambda x: nn.functional.layer_norm(x, (24,), eps=1e-6),  # it has none
    }[kwargs['out_type']]
    want.append(final(tokens)[:, first:])
    torch.testing.assert_close(model.features(pixels(), torch.clone), want, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_layers_and_logits_of_hiera():
    backbone = Hiera(SMALL_HIERA, img_size=64, out_type='raw')
    model = random_model(backbone)
    shapes = model.features(pixels(size=64), lambda x: tuple(x.shape))
    assert shapes == [(2, 256, 8), (2, 256, 8), (2, 64, 16), (2, 16, 32), (2, 16, 32), (2, 4, 64)]
    tokens = backbone.embed(normalised(pixels(size=64)))
    taps = [f'blocks.{block}.attn_logits' for block in (3, 4)]
    _, want = backbone.encode(tokens, [*taps, 'norm'])
    found = model.attention_logits(pixels(size=64), lambda block, x: (block, x))
    assert list(found) == model.global_blocks == [3, 4]
    for (block, logits), tap in zip(found.values(), taps, strict=True):
        assert tap == f'blocks.{block}.attn_logits'
        torch.testing.assert_close(logits, want[tap])
    last = model.features(pixels(size=64), torch.clone)[-1]
    torch.testing.assert_close(last, want['norm'])


@torch.no_grad()
def test_layers_and_logits_of_swin():
    """Only the map of the last stage lies in one window, whose tokens have 32 pixels."""
    backbone = Swin(SMALL_HIERA, img_size=64, window_size=2, out_type='raw')
    model = random_model(backbone)
    shapes = model.features(pixels(size=64), lambda x: tuple(x.shape))
    assert shapes == [(2, 256, 8), (2, 64, 16), (2, 16, 32), (2, 16, 32), (2, 4, 64), (2, 4, 64)]
    _, want = backbone.encode(
        backbone.embed(normalised(pixels(size=64))), ['blocks.4.attn_logits', 'norm']
    )
    found = model.attention_logits(pixels(size=64), lambda block, x: x)
    assert list(found) == model.global_blocks == [4]
    torch.testing.assert_close(found[4], want['blocks.4.attn_logits'])
    torch.testing.assert_close(model.features(pixels(size=64), torch.clone)[-1], want['norm'])
    queries, keys = model.places((64, 64))[4]
    assert queries.tolist() == keys.tolist() == [[16, 16], [48, 16], [16, 48], [48, 48]]


def test_one_block_at_a_time_is_in_memory():
    model = random_model(ViT(dict(SMALL, num_layers=4), img_size=32, patch_size=8, out_type='raw'))
    alive = []

    def watch(block, logits):
        assert not any(reference() is not None for reference in alive)
        alive.append(weakref.ref(logits))
        return logits.shape[-1]

    assert model.attention_logits(pixels(), watch) == dict.fromkeys(range(4), 17)
    tokens = model.backbone.embed(normalised(pixels()))
    _, taps = model.backbone.encode(tokens, ['blocks.1.attn_logits'])
    assert taps['blocks.1.attn_logits'].shape == (2, 3, 17, 17)  # no hook is left behind


def write_config(root, old='', new='', name='mae.py'):
    """The small MAE recipe with a piece of its text replaced."""
    config = tiny_pretrain.write_recipe(root, images=False)
    text = config.read_text()
    assert old in text
    config = root / name
    config.write_text(text.replace(old, new))
    return config


def save(root, seed=0):
    """A checkpoint of the recipe's backbone."""
    torch.manual_seed(seed)
    backbone = ViT(SMALL, img_size=32, patch_size=8, out_type='raw')
    return save_backbone(root / 'epoch_1.pth', backbone), backbone.eval()


@pytest.mark.parametrize(
    ('old', 'new', 'mean', 'flipped'),
    [
        ('', '', MEAN, False),
        ('mean=[123.675, 116.28, 103.53]', 'mean=[10, 20, 30]', (10, 20, 30), False),
        ('to_rgb=True', 'to_rgb=False', MEAN, True),  # files load as BGR
        ("    dict(type='mmlite.LoadImageFromFile'),\n", '', MEAN, False),
        ("        type='SelfSupDataPreprocessor',\n", '', MEAN, False),  # mmpretrain adds it
    ],
    ids=['as-usual', 'other-mean', 'bgr', 'memory', 'no-type'],
)
@torch.no_grad()
def test_a_config_says_how_images_are_normalised(old, new, mean, flipped, tmp_path):
    checkpoint, backbone = save(tmp_path)
    config = write_config(tmp_path, old, new)
    model = build_model(ModelSource.parse(f'MAE={config}:{checkpoint}'))
    assert (model.name, model.image_size, model.patch_size) == ('MAE', 32, 8)
    images = pixels()
    tokens = backbone.embed(normalised(images.flip(1) if flipped else images, mean))
    want = backbone.blocks[0].norm1(tokens)[:, 1:]
    torch.testing.assert_close(model.features(images, torch.clone)[0], want)


@torch.no_grad()
def test_a_model_with_the_name_of_a_pre_training_has_its_form(tmp_path):
    """The LayerScale of BEiT, for which the config has no place, is not left over."""
    torch.manual_seed(0)
    scale = dict(layer_scale_init_value=0.1)
    backbone = ViT(SMALL, img_size=32, patch_size=8, out_type='raw', **scale).eval()
    source = f'beit={write_config(tmp_path)}:{save_backbone(tmp_path / "epoch_1.pth", backbone)}'
    tokens = backbone.embed(normalised(pixels(), MEAN))
    after = backbone.encode(tokens, ['blocks.0'])[1]['blocks.0']
    model = build_model(ModelSource.parse(source))
    want = backbone.blocks[1].norm1(after)[:, 1:]
    torch.testing.assert_close(model.features(pixels(), torch.clone)[1], want)


def test_without_a_checkpoint_weights_are_those_that_training_starts_from(tmp_path):
    checkpoint, backbone = save(tmp_path, seed=5)
    start = f"patch_size=8, init_cfg=dict(type='Pretrained', checkpoint='{checkpoint}'), "
    for name, new in (('random.py', 'patch_size=8, '), ('tuned.py', start)):
        config = write_config(tmp_path, "patch_size=8,\n        out_type='raw'",
                              f"{new}out_type='raw'", name)  # fmt: skip
        model = build_model(ModelSource.parse(str(config)))
        same = torch.equal(model.backbone.cls_token, backbone.cls_token)
        assert same == (name == 'tuned.py')
        assert model.name == name.removesuffix('.py')


@pytest.mark.parametrize('pool', ['token', 'avg'])
@torch.no_grad()
def test_timm_models_get_their_own_normalisation(pool, tmp_path, monkeypatch):
    """This one wants mean and deviation 0.5; its last layer is its own normalised output."""
    create = timm.create_model

    def small(*args, **kwargs):
        kwargs |= dict(depth=2, embed_dim=24, num_heads=3, global_pool=pool)
        return create(*args, **kwargs)

    monkeypatch.setattr(timm, 'create_model', small)
    name = 'vit_tiny_patch16_224.augreg_in21k_ft_in1k'
    torch.manual_seed(0)
    theirs = timm.create_model(name).eval()
    torch.save(theirs.state_dict(), tmp_path / 'timm.pth')
    model = build_model(ModelSource.parse(f'timm:{name}:{tmp_path / "timm.pth"}'))
    assert (model.name, model.image_size, model.patch_size) == (name, 224, 16)
    images = pixels(size=224)
    tokens = theirs.forward_features(normalised(images, [127.5] * 3, [127.5] * 3))
    want = (theirs.fc_norm(tokens) if pool == 'avg' else tokens)[:, 1:]
    found = model.features(images, torch.clone)
    assert len(found) == 3
    torch.testing.assert_close(found[-1], want, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ('text', 'source'),
    [
        ('a=b.py:c.pth', ModelSource('a', config='b.py', checkpoint='c.pth')),
        ('b.py:https://x/c.pth', ModelSource('b', config='b.py', checkpoint='https://x/c.pth')),
        ('timm:vit', ModelSource('vit', timm='vit')),
        ('T=timm:vit:c.pth', ModelSource('T', timm='vit', checkpoint='c.pth')),
    ],
)
def test_model_names_are_read(text, source):
    assert ModelSource.parse(text) == source


def test_a_config_without_a_backbone_is_refused(tmp_path):
    config = write_config(tmp_path, 'backbone=dict', 'body=dict')
    with pytest.raises(UserError, match='has no model.backbone'):
        build_model(ModelSource.parse(str(config)))
