"""TimmViT: parity with timm, survival of initialisation, and refusals."""

import pytest
import timm
import torch
from torch import nn

from mmlite.errors import ArgumentError, CheckpointError
from mmlite.models import MAE, TimmViT
from mmlite.models.backbones.timm_vit import fold_normalization
from mmlite.registry import MODELS

NAME = 'vit_tiny_patch16_224.augreg_in21k_ft_in1k'
MAE_NORMALIZED = 'vit_base_patch16_224.mae'
PLAIN, DINO = 'vit_small_patch16_224', 'vit_small_patch14_dinov2'
SMALL = dict(depth=2, embed_dim=24, num_heads=3)
IMAGENET = [torch.tensor(v) for v in ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))]


def timm_model(name=NAME, **kwargs):
    """A small timm model of which no weight is at its trivial start."""
    torch.manual_seed(0)
    model = timm.create_model(name, **SMALL | dict(img_size=64) | kwargs)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)
    return model.eval()


def ours(tmp_path, model, name=NAME, **kwargs):
    """A TimmViT that loaded the weights of ``model`` from a file, as in a config."""
    torch.save(model.state_dict(), tmp_path / 'timm.pth')
    timm_kwargs = SMALL | kwargs.pop('timm_kwargs', {})
    vit = MODELS.build(
        dict(
            type='mmlite.TimmViT',
            model_name=name,
            checkpoint_path=str(tmp_path / 'timm.pth'),
            img_size=kwargs.pop('img_size', 64),
            timm_kwargs=timm_kwargs,
            **kwargs,
        )
    )
    vit.init_weights()
    return vit.eval()


def pixels(size=64):
    torch.manual_seed(1)
    return 255 * torch.rand(2, 3, size, size)


def normalised_for(images, model):
    """Images as timm's own loader would give them to ``model``."""
    mean, std = (torch.tensor(model.pretrained_cfg[key]) for key in ('mean', 'std'))
    return (images / 255 - mean.view(3, 1, 1)) / std.view(3, 1, 1)


def normalised(images):
    """Images as our data pre-processor gives them."""
    mean, std = (v.view(3, 1, 1) for v in IMAGENET)
    return (images - mean) / std


@pytest.mark.parametrize(
    ('name', 'kwargs'),
    [
        (NAME, {}),
        (MAE_NORMALIZED, {}),
        (NAME, dict(init_values=0.3, qkv_bias=False, mlp_ratio=2.7)),
        (NAME, dict(no_embed_class=True)),
        (NAME, dict(class_token=False, global_pool='avg', fc_norm=False)),
        (NAME, dict(num_classes=0, dynamic_img_size=True)),
    ],
    ids=['half', 'imagenet', 'layer-scale', 'no-embed-class', 'no-class-token', 'no-head'],
)
def test_tokens_of_every_block_equal_timm(tmp_path, name, kwargs):
    model = timm_model(name, **kwargs)
    vit = ours(tmp_path, model, name, timm_kwargs=kwargs, out_indices=(0, 1), final_norm=False)
    images = pixels()
    got = vit(normalised(images))
    with torch.no_grad():
        want = model.forward_intermediates(
            normalised_for(images, model), intermediates_only=True, output_fmt='NLC',
            return_prefix_tokens=True,
        )  # fmt: skip
    for ours_, pair in zip(got, want, strict=True):
        patches, prefix = pair if isinstance(pair, tuple) else (pair, None)
        tokens = patches if prefix is None else torch.cat([prefix, patches], 1)
        torch.testing.assert_close(ours_, tokens, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_final_norm_and_taps_equal_timm(tmp_path):
    model = timm_model()
    vit = ours(tmp_path, model)
    images = pixels()
    features = model.forward_features(normalised_for(images, model))
    close = dict(rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(vit(normalised(images))[0], features, **close)

    block = model.blocks[1]
    seen = {}
    block.attn.qkv.register_forward_hook(lambda module, args, out: seen.update(qkv=out))
    model.forward_features(normalised_for(images, model))
    q, k, _ = seen['qkv'].view(2, 17, 3, 3, 8).permute(2, 0, 3, 1, 4)
    logits = q @ k.transpose(-2, -1) * 8**-0.5
    tokens = vit.embed(normalised(images))
    _, taps = vit.encode(tokens, ['blocks.1.attn_logits', 'norm'])
    torch.testing.assert_close(taps['blocks.1.attn_logits'], logits, **close)
    torch.testing.assert_close(taps['norm'], features, **close)
    assert vit.tap_shape('blocks.1.attn_logits') == (3, 17)


def test_pooled_norm_comes_from_timm(tmp_path):
    kwargs = dict(global_pool='avg')
    model = timm_model(**kwargs)
    vit = ours(tmp_path, model, timm_kwargs=kwargs, out_type='avg_featmap')
    images = pixels()
    with torch.no_grad():
        got = vit(normalised(images))[0]
        tokens = model.forward_features(normalised_for(images, model))
        want = model.forward_head(tokens, pre_logits=True)
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4)
    raw = ours(tmp_path, model, timm_kwargs=kwargs)
    assert isinstance(raw.norm, nn.Identity)  # timm, too, leaves these tokens as they are


def test_initialisation_of_a_parent_and_freezing_leave_the_weights(tmp_path):
    """mmengine initialises parents first; a second call and later training change nothing."""
    model = timm_model()
    torch.save(model.state_dict(), tmp_path / 'timm.pth')
    torch.manual_seed(3)
    teacher = dict(
        type='mmlite.TimmViT', model_name=NAME, checkpoint_path=str(tmp_path / 'timm.pth'),
        img_size=64, timm_kwargs=SMALL, frozen_stages=2,
    )  # fmt: skip
    student = dict(
        type='mmlite.ViT', out_type='raw', img_size=64,
        arch=dict(embed_dims=24, num_layers=2, num_heads=3),
    )  # fmt: skip
    pair = dict(student='blocks.1.attn_logits', teacher='blocks.1.attn_logits')
    parent = MAE(student, distill=dict(type='mmlite.Distillation', teacher=teacher, pairs=[pair]))
    parent.init_weights()
    vit = parent.distill.teacher
    want = model.blocks[1].attn.qkv.weight
    torch.testing.assert_close(vit.blocks[1].attn.qkv.weight, want, rtol=0, atol=0)
    vit.init_weights()
    parent.train()
    torch.testing.assert_close(vit.blocks[1].attn.qkv.weight, want, rtol=0, atol=0)
    assert not any(p.requires_grad for p in vit.parameters())
    assert parent.loss(normalised(pixels()))['loss_attn'] > 0


FAMILIES = {
    'vit_small_patch14_reg4_dinov2': {},
    'vit_tiny_patch16_dinov3_qkvb': {},  # EUPE
    'vit_small_plus_patch16_dinov3': {},
    'vit_base_patch16_siglip_224.v2_webli': {},
    'vit_little_patch16_reg4_gap_256': {},
    'eva02_tiny_patch14_224': {},
    'eva02_base_patch14_224': {},
    PLAIN: dict(pos_embed='none', norm_layer=nn.LayerNorm, act_layer='gelu_tanh', reg_tokens=2),
}


@pytest.mark.parametrize(('name', 'kwargs'), FAMILIES.items())
def test_families_equal_timm_with_gradients_at_any_size(name, kwargs):
    """Tokens of all blocks, with and without the final norm, and gradients of all weights."""
    torch.manual_seed(0)
    patch = 14 if 'patch14' in name else 16
    kwargs = dict(kwargs, depth=2)
    size = patch * 14
    model = timm.create_model(name, img_size=size, dynamic_img_size=True, **kwargs).eval()
    for key, parameter in model.named_parameters():
        nn.init.normal_(parameter, std=1.0 if 'gamma' in key else 0.05)
    vit = TimmViT(name, img_size=size, timm_kwargs=kwargs, out_indices=(0, 1), final_norm=False)
    vit.eval().load_timm(with_imagenet(model))
    normed = isinstance(model.norm, nn.LayerNorm)
    final = TimmViT(name, img_size=size, timm_kwargs=kwargs).eval()
    final.load_timm(model)
    for shape in ((size, size), (10 * patch, 7 * patch)):
        images = torch.randn(1, 3, *shape)
        want, between = model.forward_intermediates(
            images, output_fmt='NLC', return_prefix_tokens=True
        )
        for got, pair in zip(vit(images), between, strict=True):
            patches, prefix = pair if isinstance(pair, tuple) else (pair, pair[:, :0])
            close(got, torch.cat([prefix, patches], 1))
        taps = ['norm.0', 'norm'] if normed else ['blocks.1']
        got = final.encode(final.embed(images), taps, final.context(images))[1]
        close(got[taps[-1]], want)
        if normed:
            close(got['norm.0'], final.norm(vit(images)[0]))
        weight = torch.randn_like(want)
        for parameter in (*model.parameters(), *final.parameters()):
            parameter.grad = None
        (want * weight).sum().backward()
        (got[taps[-1]] * weight).sum().backward()
        grads = {
            k: torch.zeros_like(p) if p.grad is None else p.grad
            for k, p in model.named_parameters()
        }
        grads = final.translate(grads)
        for key, parameter in final.named_parameters():
            if parameter.requires_grad and key not in ('pos_embed', 'reg_token', 'cls_token'):
                close(parameter.grad, grads[key])
        for key in ('pos_embed', 'reg_token', 'cls_token'):
            ours_, theirs = getattr(final, key), getattr(model, key, None)
            if theirs is not None:
                close(ours_.grad[:, -theirs.shape[1] :], theirs.grad)


def with_imagenet(model):
    """The model as if trained on images of ImageNet's normalization, so that none is folded."""
    model.pretrained_cfg = timm.models.PretrainedCfg(
        mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
    ).to_dict()
    return model


def close(got, want):
    """Equal to 1e-5 of the largest value."""
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5 * float(want.abs().max()) + 1e-8)


def test_windows_and_trackers_have_no_prefix():
    kwargs = dict(depth=2)
    name = 'vit_tiny_patch16_dinov3_qkvb'
    model = with_imagenet(timm.create_model(name, **kwargs))
    vit = TimmViT(
        name, timm_kwargs=kwargs, with_prefix=False, window_size=7, global_blocks=(1,),
        out_type='featmap', drop_path_rate=0.1,
    )  # fmt: skip
    vit.load_timm(model)
    assert vit.num_prefix_tokens == 0 and vit(torch.zeros(1, 3, 100, 200))[0].shape[2:] == (7, 13)
    assert vit.blocks[1].drop_path1.drop_prob == pytest.approx(0.1)
    torch.testing.assert_close(vit.blocks[0].ls1.gamma, model.blocks[0].gamma_1)


def test_folding_is_exact():
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 8, 4, 4)
    images = pixels(8)
    given, wanted = IMAGENET, [torch.tensor([127.5] * 3), torch.tensor([100.0, 127.5, 90.0])]
    as_double = [[v.double() for v in pair] for pair in (given, wanted)]
    folded = fold_normalization(conv.weight, conv.bias, *as_double)
    x, y = ((images - m.view(3, 1, 1)) / s.view(3, 1, 1) for m, s in (given, wanted))
    torch.testing.assert_close(nn.functional.conv2d(x, *folded, stride=4), conv(y))
    same = fold_normalization(conv.weight, conv.bias, as_double[0], as_double[0])
    torch.testing.assert_close(same, (conv.weight, conv.bias), rtol=0, atol=0)


@pytest.mark.parametrize(
    ('name', 'kwargs', 'message'),
    [
        (PLAIN, dict(qk_norm=True), "has no or another 'blocks.0.attn.k_norm.bias'"),
        (PLAIN, dict(proj_bias=False), "has no or another 'blocks.0.attn.proj.bias'"),
        (PLAIN, dict(drop_path_rate=0.1), r'has DropPath of rate 0.\d* as blocks.1.drop_path1'),
        (PLAIN, dict(proj_drop_rate=0.1), 'has Dropout of rate 0.1 as blocks.0'),
        ('vit_small_patch16_rope_224', {}, 'Eva. computes something else'),
        ('vit_base_patch16_rpn_224', {}, "type='mmpretrain.TIMMBackbone'"),
        ('vit_small_patch16_18x2_224', {}, 'is of another kind'),
        (PLAIN, dict(img_size=(224, 112)), 'images of 224x112 .* square'),
        (DINO, dict(img_size=640), 'not a multiple of patch_size 14: use img_size=644 or 630'),
        ('vit_tiny_patch16_225', {}, 'near names: .*vit_tiny_patch16_224'),
        ('vit_tiny_patch16_224', dict(width=3), "unexpected keyword argument 'width'"),
    ],
)
def test_what_vit_cannot_express_is_refused(name, kwargs, message):
    kwargs = dict(kwargs)
    img_size = kwargs.pop('img_size', None)
    with pytest.raises(ArgumentError, match=message):
        TimmViT(name, img_size=img_size, timm_kwargs=kwargs)


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(pretrained=True, checkpoint_path='x.pth'), 'exclude one another'),
        (dict(input_std=(0.229, 0.224, 0.225)), 'is for pixels in 0 to 1'),
        (dict(out_type='avg_featmap', final_norm=True), 'set final_norm=False'),
        (dict(out_indices=12), 'out_indices 12 does not exist'),
    ],
)
def test_wrong_arguments_name_themselves(kwargs, message):
    with pytest.raises(ArgumentError, match=message):
        TimmViT(NAME, **kwargs)


def test_bad_weights_are_one_sentence(tmp_path):
    vit = TimmViT(NAME, checkpoint_path=str(tmp_path / 'no.pth'), timm_kwargs=SMALL)
    with pytest.raises(CheckpointError, match='no.pth cannot be loaded .* FileNotFoundError'):
        vit.init_weights()
    with pytest.raises(CheckpointError, match='cannot be loaded into timm model'):
        ours(tmp_path, timm_model(embed_dim=48))


SWIN = dict(model_name='swin_tiny_patch4_window7_224', img_size=64)


@pytest.mark.parametrize(
    ('kwargs', 'channels'),
    [
        (dict(SWIN, features_only=True, out_indices=(2,)), 384),
        (SWIN, 768),
        (dict(model_name='resnet18', features_only=True, out_indices=(3,)), 256),
    ],
)
def test_features_of_timm_have_channels_first(kwargs, channels):
    model = MODELS.build(dict(type='mmpretrain.TIMMBackbone', **kwargs))
    model.eval()
    images = torch.rand(1, 3, 64, 64)
    (found,) = model(images)
    assert found.shape[1] == channels
    expected = model.timm_model(images)
    expected = expected[0] if isinstance(expected, list) else expected
    channels_last = 'swin' in kwargs['model_name']
    torch.testing.assert_close(found, expected.permute(0, 3, 1, 2) if channels_last else expected)


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(model_name='resnet18.a1_in1kk'), 'near names: resnet18.a1_in1k'),
        (dict(model_name=18), 'cannot build model_name 18'),
        (dict(model_name='resnet18', features_only=True, out_indices=(1, 9)), r'indices=\(1, 9\)'),
        (dict(model_name='resnet18', checkpoint_path='/no.pth'), "given checkpoint_path='/no.pth'"),
    ],
)
def test_features_that_timm_cannot_build(kwargs, message):
    with pytest.raises(ArgumentError, match=message):
        MODELS.build(dict(type='mmpretrain.TIMMBackbone', **kwargs))


@pytest.mark.parametrize('name', ['resnet188', 'vit_tiny_patch16_225', 'vit_tiny_patch16_224'])
def test_features_that_timm_refuses(name):
    with pytest.raises(ArgumentError, match=f"'{name}'.*(near names|set img_size)"):
        MODELS.build(dict(type='mmpretrain.TIMMBackbone', model_name=name))(
            torch.zeros(1, 3, 64, 64)
        )


@pytest.mark.parametrize('name', ['convnext_atto', 'resnet18', 'swin_tiny_patch4_window7_224'])
def test_maps_of_timm_teach(name):
    """A map is tokens in the order of rows, which a ViT distils."""
    swin = dict(img_size=64) if 'swin' in name else {}
    cfg = dict(type='mmlite.TimmCNN', model_name=name, img_size=64, timm_kwargs=swin)
    teacher = MODELS.build(cfg).eval()
    x = torch.randn(1, 3, 64, 64)
    stage = 2 if 'resnet' not in name else 3
    tap = f'stages.{stage}'
    tokens = teacher.encode(teacher.embed(x), [tap], teacher.context(x))[1][tap]
    want = teacher.timm_model(x)[stage]
    want = want if 'swin' in name else want.permute(0, 2, 3, 1)
    torch.testing.assert_close(teacher.tap_map(tokens, tap, (64, 64)), want)
    assert teacher.tap_shape(tap) == (tokens.shape[2], 16)
    student = MODELS.build(
        dict(type='mmlite.ViT', arch=dict(embed_dims=24, num_layers=1, num_heads=3), img_size=64)
    )
    adapter = dict(type='mmlite.TokenProjection')
    pair = dict(student='blocks.0', teacher=tap, tokens='patches', adapter=adapter)
    distill = dict(type='mmlite.Distillation', teacher=cfg, pairs=[pair])
    distill = MODELS.build(distill, default_args=dict(student=student))
    tapped = student.encode(student.embed(x), ['blocks.0'], student.context(x))[1]
    before = next(distill.teacher.parameters()).clone()
    distill.init_weights()
    torch.testing.assert_close(next(distill.teacher.parameters()), before, rtol=0, atol=0)
    (loss,) = distill(x, {}, tapped).values()
    assert loss > 0
    with pytest.raises(ArgumentError, match="unknown tap 'blocks.0': use 'stages.I'"):
        teacher.group_taps(['blocks.0'])
