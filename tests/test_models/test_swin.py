"""Swin: parity with the official code through the recipes, and with mmpretrain's class."""

import re
from pathlib import Path

import golden
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpretrain.models import SwinTransformer
from timm.layers import DropPath
from tiny_methods import images

from mmlite.errors import ArgumentError
from mmlite.models import Swin
from mmlite.models.layers import shifted_window
from mmlite.registry import MODELS
from mmlite.weights import convert

CONFIGS = Path(__file__).parents[2] / 'configs'
CLOSE = dict(rtol=1e-4, atol=1e-5)
GRADIENT = dict(rtol=1e-3, atol=1e-5)
DEPTHS = (2, 2, 6, 2)
#: Names of what the converter keeps beside the backbone, and ours.
BESIDE = (
    (r'norm\.', 'neck.norm.'),
    (r'decoder\.0\.', 'neck.embed.'),
    (r'decoder\.1\.', 'neck.block.'),
    (r'decoder_pred\.0\.', 'neck.decoder.0.'),
    (r'attn_adapter\.adapter11\.', 'distill.pairs.0.adapter.1.'),
    (r'blocks\.12\.(attn\.)?', 'distill.pairs.0.adapter.0.'),
)


def our_names(weights):
    """Our names by official name, without the masks."""
    names = {}
    for name, (official,) in convert(weights, 'mae-lite', keep_extra=True)['report'][
        'origins'
    ].items():
        for pattern, ours in BESIDE:
            name = re.sub(f'^{pattern}', ours, name)
        names[official] = name
    return names


def build(recipe):
    name = f'{recipe}_swin-1g_8xb256-amp-steplr-400e_in1k.py'
    cfg = Config.fromfile(CONFIGS / 'pretrain' / recipe / name)
    init_default_scope(cfg.default_scope)
    return MODELS.build(cfg.model)


def buffers(name):
    """Values (windows, 1, N, N) in the official buffers of the shift masks, in order."""
    return [v[:, None] for k, v in golden.weights(name).items() if k.endswith('attn_mask')]


@pytest.mark.parametrize('name', ['simmim_swin', 'simmim_swin_d2'])
def test_simmim_golden(name, monkeypatch):
    """Losses, distilled logits and gradients of the official code, in training mode.

    Its buffers of shift masks had generated values, too. Stochastic depth dropped one branch of one
    image in simmim_swin, and scaled all others.
    """
    distilled = name.endswith('d2')
    model = build('d2-simmim' if distilled else 'simmim').train()
    weights = golden.weights(name)
    names = our_names(weights)
    masks = buffers(name)
    if distilled:
        teacher = convert(golden.weights('simmim_swin_teacher'), 'mae-lite')['state_dict']
        teacher = {key.removeprefix('backbone.'): value for key, value in teacher.items()}
        model.distill.teacher.load_state_dict(teacher)
        masks += buffers('simmim_swin_teacher')
    else:
        kept = torch.tensor([1.0, 0.0]).view(2, 1, 1)
        model.backbone.blocks[9].drop_path2.register_forward_hook(lambda *args: args[2] * kept)
    result = model.load_state_dict({names[key]: weights[key] for key in names}, strict=False)
    assert (result.missing_keys, result.unexpected_keys) == (['mask_token'], [])  # it is shared
    masks = iter(masks)
    monkeypatch.setattr(shifted_window, 'shift_mask', lambda *args: next(masks))
    monkeypatch.setattr(DropPath, 'forward', lambda self, x: x / (1 - self.drop_prob))
    logits = {}
    if distilled:
        pair = model.distill.pairs[0]
        keep = logits.__setitem__
        pair.adapter[0].register_forward_hook(lambda *args: keep('student_logits', args[2]))
        pair.register_forward_hook(
            lambda *args: keep('teacher_logits', args[1][1]['blocks.11.attn_logits'])
        )

    want = golden.tensors(name)
    cells = want['mask'].bool().repeat_interleave(8, 1).repeat_interleave(8, 2)
    losses = model.loss(images(224), mask=cells.flatten(1))
    total = sum(losses.values())
    total.backward()
    given = dict(losses, loss=total)
    given |= {field: tensor[:, :, ::7, ::7] for field, tensor in logits.items()}
    for field in [key for key in want if key.startswith('loss') or key.endswith('logits')]:
        torch.testing.assert_close(given[field].detach(), want[field], **CLOSE, msg=field)
    parameters = dict(model.named_parameters())
    for field in [key for key in want if key.startswith('grad:')]:
        gradient = parameters[names[field.removeprefix('grad:')]].grad[::5]
        torch.testing.assert_close(gradient, want[field], **GRADIENT, msg=field)


def mmpretrain_name(name):
    """mmpretrain's name of one of our parameters."""
    block = re.match(r'blocks\.(\d+)\.', name)
    if block:
        index, stage = int(block[1]), 0
        while index >= DEPTHS[stage]:
            index, stage = index - DEPTHS[stage], stage + 1
        inner = '' if 'downsample' in name else f'blocks.{index}.'
        name = name.replace(block[0], f'stages.{stage}.{inner}')
    for ours, theirs in (
        ('patch_embed.proj', 'patch_embed.projection'), ('.attn.', '.attn.w_msa.'),
        ('mlp.fc1', 'ffn.layers.0.0'), ('mlp.fc2', 'ffn.layers.1'), ('stage_norms.', 'norm'),
    ):  # fmt: skip
        name = name.replace(ours, theirs)
    return name


def test_maps_equal_mmpretrain():
    """Shifted windows, padding and merging of maps that nothing divides."""
    torch.manual_seed(0)
    small = dict(embed_dims=12, num_heads=1)
    ours = Swin(arch=dict(small, num_layers=DEPTHS), stage_norm=True).eval()
    arch = dict(embed_dims=12, depths=DEPTHS, num_heads=(1, 2, 4, 8))
    theirs = SwinTransformer(arch, out_indices=range(4), drop_path_rate=0.0, pad_small_map=True)
    theirs.eval()
    state = {}
    for name, tensor in ours.state_dict().items():
        tensor = tensor.add_(torch.randn_like(tensor) * 0.2)
        if 'downsample' in name:  # columns, rows, channels there; channels, rows, columns here
            tensor = tensor.unflatten(-1, (2, 2, -1)).transpose(-1, -3).flatten(-3)
        state[mmpretrain_name(name)] = tensor
    result = theirs.load_state_dict(state, strict=False)
    assert all(key.endswith('relative_position_index') for key in result.missing_keys)
    assert not result.unexpected_keys
    with torch.no_grad():
        for given, want in zip(ours(images(209, 310)), theirs(images(209, 310)), strict=True):
            torch.testing.assert_close(given, want, rtol=1e-4, atol=1e-4)


def test_a_map_of_one_window_is_not_shifted():
    torch.manual_seed(0)
    block = shifted_window.SwinBlock(12, 1, window=7, shift=3)
    tokens = torch.randn(1, 49, 12)
    shifted, _ = block(tokens, (7, 7))
    block.shift = 0
    torch.testing.assert_close(shifted, block(tokens, (7, 7))[0])


def test_taps():
    model = Swin(mask_token=True, out_type='raw', img_size=64)
    taps = ['blocks.1.merged', 'blocks.3', 'blocks.10.attn_logits', 'norm']
    _, tapped = model.encode(model.embed(images(64)), taps)
    assert [tuple(tapped[tap].shape) for tap in taps] == [
        (2, 64, 96), (2, 64, 96), (2, 24, 49, 49), (2, 4, 384)
    ]  # fmt: skip
    assert [model.tap_shape(tap) for tap in taps] == [(96, 64), (96, 64), (24, 4), (384, 4)]
    shown = model.embed(images(64), mask=torch.arange(256).expand(2, -1) < 3)
    assert torch.equal(shown[:, :3], model.mask_token.expand(2, 3, -1))
    assert torch.equal(shown[:, 3:], model.embed(images(64))[:, 3:])
    with pytest.raises(ArgumentError, match='require mask_token=True'):
        Swin().embed(images(64), mask=torch.zeros(2, 256, dtype=torch.bool))


def test_layers_of_the_learning_rate():
    """As in the official fine-tuning: a merging learns as the last block of its stage."""
    model = Swin(mask_token=True)
    layers = {
        'mask_token': 0, 'patch_embed.norm.weight': 0, 'blocks.1.downsample.norm.weight': 2,
        'blocks.2.norm1.weight': 3, 'blocks.11.mlp.fc1.weight': 12, 'norm.weight': 13,
    }  # fmt: skip
    assert {name: model.get_layer_depth(name) for name in layers} == {
        name: (layer, 14) for name, layer in layers.items()
    }
    assert len(model.no_weight_decay()) == 12


def test_tables_of_another_window_are_resampled():
    """At the same relative positions, a window of 3 has about the values of one of 7."""
    small, large = Swin(window_size=3), Swin(window_size=7)
    state = large.state_dict()
    name = 'blocks.0.attn.relative_position_bias_table'
    y, x = torch.meshgrid(*[torch.arange(13.0) - 6] * 2, indexing='ij')
    state[name] = (y + 2 * x).flatten()[:, None].expand(-1, 3) / 10
    small.load_state_dict(state)
    table = small.state_dict()[name].view(5, 5, 3)
    torch.testing.assert_close(table[2, 2], torch.zeros(3), atol=1e-5, rtol=0)
    assert (table[1:, :, 0] > table[:-1, :, 0]).all()
    torch.testing.assert_close(table[:, :, 0], -table.flip(0, 1)[:, :, 0], atol=1e-5, rtol=1e-4)
