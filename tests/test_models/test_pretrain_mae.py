"""MAE, D-MAE and D2-MAE on ViT and Hiera: parity with the official code through the recipes."""

import re
from functools import lru_cache
from pathlib import Path

import golden
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from tiny_methods import images, train

from mmlite.errors import ArgumentError
from mmlite.models.layers import attention, take
from mmlite.models.pretrain.base import count_kept, mask_of
from mmlite.registry import MODELS

CONFIGS = Path(__file__).parents[2] / 'configs'
RECIPE = '8xb512-amp-coslr-400e_in1k'
CLOSE = dict(rtol=1e-4, atol=1e-5)
GRADIENT = dict(rtol=1e-3, atol=1e-5)
#: Golden name -> recipe, its official prefix, golden name of the teacher, index of the adapter.
OFFICIAL = {
    'mae_vit_tiny': ('mae/mae_vit-tiny', '', None),
    'd_mae': ('d-mae/d-mae_vit-tiny', 'model.', 'mae_vit_base_teacher'),
    'd2_mae': ('d2-mae/d2-mae_vit-tiny', 'model.', 'mae_vit_base_teacher'),
    'hiera_mae_tiny': ('mae/mae_hiera-tiny', '', None),
    'hiera_d_mae': ('d-mae/d-mae_hiera-tiny', 'model.', 'mae_hiera_base_teacher'),
}


def build(recipe, folder='pretrain', ending='.py', **changes):
    cfg = Config.fromfile(CONFIGS / folder / f'{recipe}_{RECIPE}{ending}')
    cfg.merge_from_dict({f'model.{key}': value for key, value in changes.items()})
    init_default_scope(cfg.default_scope)
    return MODELS.build(cfg.model)


def small(recipe, **changes):
    """The model of a recipe for generated images of 96 pixels."""
    return build(recipe, 'shapes/pretrain', '_shapes.py', **changes)


def our_name(name, adapter):
    """Our name of an official parameter; ``adapter`` is the last index of the adapter."""
    if name.startswith('attn_adapter.'):
        return f'distill.pairs.0.adapter.{adapter}.weight'
    extra = re.fullmatch(r'blocks\.12\.(norm1|attn\.qkv)\.(\w+)', name)
    if extra:
        return f'distill.pairs.0.adapter.0.{extra[1].removeprefix("attn.")}.{extra[2]}'
    if name.startswith(('decoder_', 'mask_token')):
        return f'neck.{name}'
    if name.startswith(('encoder_norm', 'multi_scale')):
        return f'fusion.{name}'
    return f'backbone.{name}'


teacher_weights = lru_cache(maxsize=1)(golden.weights)


@pytest.fixture(scope='module', params=OFFICIAL)
def official(request):
    """An official model's name, our model with its weights, and the names of its parameters."""
    recipe, prefix, teacher = OFFICIAL[request.param]
    model = build(recipe)
    adapter = len(model.distill.pairs[0].adapter) - 1 if teacher else 0
    weights = golden.weights(request.param)
    names = {key: our_name(key.removeprefix(prefix), adapter) for key in weights}
    model.load_state_dict({names[k]: v for k, v in weights.items()})  # the teacher is no part of it
    if teacher:
        result = model.distill.teacher.load_state_dict(teacher_weights(teacher), strict=False)
        assert set(result.missing_keys) <= {'norm.weight', 'norm.bias'}
    return request.param, model, names


def test_losses_and_gradients_golden(official):
    name, model, names = official
    want = golden.tensors(name)
    key = 'mask' if name.startswith('hiera') else 'ids_shuffle'
    model.zero_grad()
    losses = model.loss(images(224), **{key: want[key]})
    total = sum(losses.values())
    total.backward()
    given = dict(losses, loss=total)
    for field in [k for k in want if k.startswith('loss')]:
        torch.testing.assert_close(given[field].detach(), want[field].float(), **CLOSE, msg=field)
    parameters = dict(model.named_parameters())
    for field in [k for k in want if k.startswith('grad:')]:
        gradient = parameters[names[field.removeprefix('grad:')]].grad
        torch.testing.assert_close(gradient, want[field], **GRADIENT, msg=field)


@pytest.mark.parametrize('name', ['mae_vit_tiny', 'hiera_mae_tiny'])
def test_predictions_golden(name):
    """All predictions, normalized targets and which patches are hidden."""
    recipe, _, _ = OFFICIAL[name]
    model = build(recipe).eval()
    model.load_state_dict({our_name(k, 0): v for k, v in golden.weights(name).items()})
    want = golden.tensors(name)
    with torch.no_grad():
        visible = model._choose(images(224), want.get('ids_shuffle', want['mask']))
        latent = model._latent(model._encode(images(224), visible))
        pred = model.neck(latent, visible.shown)
        target = model.head.target(images(224), visible.hidden)[0]
    assert pred.shape == (2, 196, 768)
    hidden = mask_of(visible.hidden, 196)
    if name == 'mae_vit_tiny':
        assert latent.shape == (2, 50, 192)
        torch.testing.assert_close(pred[:, ::7, ::16], want['pred'], **CLOSE)
        assert torch.equal(hidden, want['mask'].bool())
    else:
        assert latent.shape == (2, 116, 368)
        torch.testing.assert_close(pred[hidden][::5, ::32], want['pred'], **CLOSE)
        # our targets come unit by unit, the official ones row by row
        index = visible.hidden[..., None].expand_as(target)
        rows = torch.zeros(2, 196, 768).scatter(1, index, target)
        torch.testing.assert_close(rows[hidden][::5, ::32], want['label'], **CLOSE)
    assert hidden.sum(1).tolist() == [147, 147] if name == 'mae_vit_tiny' else [80, 80]
    some = model.neck(latent, visible.shown, visible.hidden)
    torch.testing.assert_close(some, take(pred, visible.hidden))


# ---- what the recipes share -------------------------------------------------------------------

SMALL = ['d-mae/d-mae_vit-tiny', 'd2-mae/d2-mae_vit-tiny', 'mae/mae_hiera-tiny']


@pytest.mark.parametrize('recipe', SMALL)
def test_loss_falls_and_the_teacher_stays(recipe):
    torch.manual_seed(0)
    model = small(recipe).train()
    before = model.distill and model.distill.teacher_checksum()
    batch = images(96)
    history = train(lambda: sum(model.loss(batch).values()), model.parameters(), 1e-3, 10)
    assert sum(history[-3:]) < 0.95 * sum(history[:3])
    if model.distill:
        assert not model.distill.teacher.training
        assert all(p.grad is None for p in model.distill.teacher.parameters())
        assert torch.equal(before, model.distill.teacher_checksum())


@pytest.mark.parametrize('recipe', ['mae/mae_vit-tiny', 'mae/mae_hiera-tiny'])
def test_hidden_pixels_do_not_reach_the_prediction(recipe):
    """Changing hidden pixels changes the target, but neither latent nor prediction."""
    model = small(recipe).eval()
    batch = images(96)
    choice = torch.arange(36).repeat(2, 1) if 'vit' in recipe else torch.arange(9).repeat(2, 1) < 5
    with torch.no_grad():
        visible = model._choose(batch, choice)
        changed = model.hide(batch, visible.hidden, 16)
        latents = [model._latent(model._encode(x, visible)) for x in (batch, changed)]
    assert not torch.equal(batch, changed)
    torch.testing.assert_close(*latents, rtol=0, atol=0)


@pytest.mark.parametrize('recipe', ['mae/mae_vit-tiny', 'mae/mae_hiera-tiny'])
def test_perfect_prediction_reconstructs_the_image(recipe, monkeypatch):
    """Targets fed back as predictions give the image itself, and only hidden patches are grey."""
    model = small(recipe).eval()
    batch = images(96)

    def perfect(latent, shown, wanted):
        return model.head.target(batch, wanted)[0]

    monkeypatch.setattr(model.neck, 'forward', perfect)
    torch.manual_seed(0)
    shown = model.reconstruct(batch)
    torch.testing.assert_close(shown.restored, batch, rtol=1e-4, atol=1e-4)
    grey = (shown.masked == 0).all(1).float().mean().item()
    assert grey == pytest.approx(0.75 if 'vit' in recipe else 4 / 9)
    assert torch.equal(shown.masked[shown.masked != 0], batch[shown.masked != 0])


def test_distilled_logits_are_invariant_to_the_order_of_patches():
    """The loss depends on which patches are seen, not on the order in which they are."""
    model = small('d2-mae/d2-mae_vit-tiny').eval()
    order = torch.from_numpy(golden.permutations(2, 36))
    again = torch.cat([order[:, :9].flip(1), order[:, 9:]], dim=1)
    with torch.no_grad():
        first, second = (model.loss(images(96), ids_shuffle=ids) for ids in (order, again))
    for key in first:
        torch.testing.assert_close(first[key], second[key], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('tap', ['blocks.3.norm1', 'norm'])
def test_representation_loss_by_hand(tap):
    """Eq. 6: normalized tokens, class token included, through a projection without bias."""
    pair = dict(student=tap, teacher=tap, adapter=dict(type='mmlite.TokenProjection'))
    changes = {'distill.pairs': [pair], 'distill.teacher.arch': 'small'}
    model = small('d-mae/d-mae_vit-tiny', **changes).eval()
    order = torch.from_numpy(golden.permutations(2, 36))
    with torch.no_grad():
        loss = model.loss(images(96), ids_shuffle=order)['loss_rep']
        found = []
        for net in (model.backbone, model.distill.teacher):
            tokens = net.embed(images(96), order[:, :9])
            blocks = net.blocks if tap == 'norm' else net.blocks[:3]
            for block in blocks:
                tokens, _ = block(tokens)
            found.append((net.norm if tap == 'norm' else net.blocks[3].norm1)(tokens))
        student = found[0] @ model.distill.pairs[0].adapter[0].weight.T
    assert student.shape == (2, 10, 384)
    torch.testing.assert_close(loss, (found[1] - student).square().mean(), rtol=1e-4, atol=1e-6)


def test_teacher_is_left_out_of_checkpoints_and_loads_strictly():
    model = small('d2-mae/d2-mae_vit-tiny')
    state = model.state_dict()
    assert not any('teacher' in key for key in state)
    del state['neck.mask_token']
    with pytest.raises(RuntimeError, match='neck.mask_token'):
        model.load_state_dict(state, strict=True)


def test_weights_that_init_gives_a_teacher_are_those_of_its_file(tmp_path):
    """No later initialisation touches the teacher (mmengine initialises parents first)."""
    teacher = small('mae/mae_vit-tiny')
    file = tmp_path / 'teacher.pth'
    torch.save(dict(state_dict=teacher.state_dict(), meta={}), file)
    model = small('d-mae/d-mae_vit-tiny', **{'distill.teacher.init_cfg.checkpoint': str(file)})
    model.init_weights()
    for key, tensor in model.distill.teacher.state_dict().items():
        assert torch.equal(tensor, teacher.backbone.state_dict()[key]), key


def test_only_tapped_layers_form_logits(monkeypatch):
    """One block of student and teacher each; the teacher's last block stops at its logits."""
    calls = []
    plain = attention.attention_logits

    def counted(q, k, bias=None):
        calls.append(tuple(q.shape))
        return plain(q, k, bias)

    monkeypatch.setattr(attention, 'attention_logits', counted)
    model = small('d-mae/d-mae_vit-tiny')
    last = model.distill.teacher.blocks[-1]
    last.mlp.register_forward_hook(lambda *_: pytest.fail("the teacher's last MLP is not needed"))
    model.loss(images(96))
    assert calls == [(2, 12, 10, 16), (2, 12, 10, 16)]


# ---- mistakes ---------------------------------------------------------------------------------

PAIR = 'distill.pairs'


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'decode_from': 'blocks.12'}, r"unknown tap 'blocks.12': use 'blocks.I'.*0 to 11"),
        ({PAIR: [dict(student='blocks.11', teacher='blocks.11.attention')]},
         r"distill.pairs\[0\].teacher: unknown tap 'blocks.11.attention'.*attn_logits"),
        ({PAIR: [dict(student='blocks.1', teacher='blocks.1')], 'distill.teacher.arch': 'small'},
         r"192 channels at 'blocks.1' but the teacher has 384"),
        ({'distill.teacher.patch_size': 8}, r'37 tokens .* but the teacher has 145'),
        ({PAIR: []}, r'distill.pairs is empty'),
        ({PAIR: 2 * [dict(student='norm', teacher='norm',
                          adapter=dict(type='mmlite.TokenProjection'))]},
         r"two pairs are called 'rep'"),
        ({'head': None}, r'neck .* and head .* go together'),
        ({'head': None, 'neck': None, 'distill': None}, r'nothing to learn'),
    ],
)  # fmt: skip
def test_wrong_arguments(changes, message):
    with pytest.raises(ArgumentError, match=message):
        small('d-mae/d-mae_vit-tiny', **changes)


@pytest.mark.parametrize(
    ('recipe', 'changes', 'size', 'message'),
    [
        ('vit', {'mask_ratio': 0.0}, 96, 'mask_ratio 0.0 leaves 36 of 36 patches visible'),
        ('vit', {}, 100, 'images of 100x100 pixels do not divide into patches of 16'),
        ('vit', {}, 128, r'have 8x8 patches, but the decoder is built for 6x6: set model.neck'),
        ('hiera', {'mask_ratio': 0.95}, 96, 'leaves 0 of 9 mask units visible'),
        ('hiera', {'decode_from': 'blocks.7'}, 96, 'set fusion.stages instead'),
    ],
)
def test_wrong_images_and_ratios(recipe, changes, size, message):
    with pytest.raises(ArgumentError, match=message):
        small(f'mae/mae_{recipe}-tiny', **changes).loss(images(size, batch=1))


def test_share_of_visible_patches_is_rounded_down_but_not_by_float_errors():
    counts = [count_kept(*case) for case in ((196, 0.75), (49, 0.4), (49, 0.6), (10, 0.9))]
    assert counts == [49, 29, 19, 1]
