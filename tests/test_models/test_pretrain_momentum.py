"""Momentum encoders, their schedules and their way through checkpoints and resumed runs."""

from copy import deepcopy

import pytest
import tiny
import tiny_methods as methods
import torch
from mmengine.runner import Runner, load_checkpoint
from mmpretrain.structures import DataSample
from torch import nn

from mmlite.errors import ArgumentError
from mmlite.models import ViT
from mmlite.models.pretrain.momentum import (
    MomentumEncoder,
    check_points,
    training_progress,
)

any_method = pytest.mark.parametrize('name', methods.MOMENTUM)


class Pair(nn.Module):
    """A model with two modules that are followed and one that is not."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
        self.neck = nn.Linear(4, 2)
        self.head = nn.Linear(2, 2)


@pytest.mark.parametrize('points', [[], [(0.5, 1.0), (0.2, 2.0)], [(0, 1.0), (30, 2.0)]])
def test_wrong_schedules_name_themselves(points):
    with pytest.raises(ArgumentError, match='momentum=.* is not a schedule: use pairs'):
        check_points('momentum', points)


def test_update_is_the_moving_average_of_parameters_only():
    torch.manual_seed(0)
    source = Pair()
    source.neck.bias.requires_grad_(False)
    encoder = MomentumEncoder(source, ['backbone', 'neck'])
    before = deepcopy(encoder.state_dict())
    assert set(before) == {k for k in source.state_dict() if not k.startswith('head')}
    for tensor in source.state_dict().values():
        tensor.copy_(torch.randn(tensor.shape))
    encoder.update(source, 0.9)
    trainable = {n for n, p in source.named_parameters() if p.requires_grad}
    new = source.state_dict()
    for key, value in encoder.state_dict().items():
        moves = key in trainable
        want = 0.9 * before[key] + 0.1 * new[key] if moves else before[key]
        torch.testing.assert_close(value, want)
        assert moves == (not torch.equal(value, before[key]))
    assert not any(p.requires_grad for p in encoder.parameters())
    encoder.copy_from(source)
    for key, value in encoder.state_dict().items():
        assert torch.equal(value, new[key])


def test_resampled_positions_follow_the_moving_average():
    """They are cached between forward passes without gradient; the update is in place."""
    torch.manual_seed(0)
    model = nn.Module()
    model.backbone = ViT(**{k: v for k, v in methods.VIT.items() if k != 'type'})
    encoder = MomentumEncoder(model, ['backbone'])
    images = torch.zeros(1, 3, 48, 48)  # 6 x 6 patches from a table of 4 x 4
    with torch.no_grad():
        first = encoder.backbone.embed(images)
        model.backbone.pos_embed.add_(1.0)
        encoder.update(model, 0.0)
        second = encoder.backbone.embed(images)
    torch.testing.assert_close(second - first, torch.ones_like(first), atol=1e-5, rtol=0)


def followed(model):
    """Pairs of state dict entries (momentum encoder, model)."""
    state = model.state_dict()
    start = 'momentum_encoder.'
    return [(v, state[k.removeprefix(start)]) for k, v in state.items() if k.startswith(start)]


@any_method
def test_starts_equal_after_initialisation_and_loading(name, tmp_path):
    model = methods.build(name)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0 if parameter.requires_grad else 0.0)
    assert not all(torch.equal(a, b) for a, b in followed(model))
    model.init_weights()
    assert len(followed(model)) > 20 and all(torch.equal(a, b) for a, b in followed(model))

    weights = {k: v + 0.5 for k, v in model.state_dict().items() if v.is_floating_point()}
    student = {k: v for k, v in weights.items() if not k.startswith('momentum_encoder')}
    torch.save(dict(state_dict=student), tmp_path / 'student.pth')
    load_checkpoint(model, str(tmp_path / 'student.pth'), map_location='cpu')
    pairs = [(a, b) for a, b in followed(model) if a.is_floating_point()]
    assert all(torch.equal(a, b) for a, b in pairs)
    loaded = model.state_dict()
    assert all(torch.equal(loaded[k], v) for k, v in student.items())

    whole = {k: v + 1 if k.startswith('momentum_encoder') else v for k, v in weights.items()}
    model.load_state_dict(whole, strict=False)
    for own, other in [(a, b) for a, b in followed(model) if a.is_floating_point()]:
        torch.testing.assert_close(own, other + 1)


def run(name, folder, **changes):
    """Train for two epochs of two iterations; returns the final state dict and the losses."""
    inputs, samples = methods.batch(name, images=12)
    views = list(zip(*inputs, strict=True)) if isinstance(inputs, list) else inputs
    samples = samples or [DataSample() for _ in views]
    loader = dict(
        batch_size=6,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type='default_collate'),
        dataset=[dict(inputs=v, data_samples=s) for v, s in zip(views, samples, strict=True)],
    )
    runner = Runner(
        model=methods.METHODS[name],
        work_dir=str(folder),
        train_dataloader=loader,
        train_cfg=dict(type='mmlite.EpochTrainLoop', max_epochs=2),
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=0.01)),
        default_hooks=dict(checkpoint=dict(type='mmlite.CheckpointHook', interval=1)),
        default_scope='mmpretrain',
        randomness=dict(seed=0),
        experiment_name=f'{name}-{len(changes)}-{folder.name}',
        **changes,
    )
    losses = tiny.Losses()
    runner.register_hook(losses)
    runner.train()
    return runner.model.state_dict(), losses.seen


@any_method
def test_resuming_keeps_the_moving_averages(name, tmp_path):
    """A resumed run is the same as one that was never interrupted."""
    end, losses = run(name, tmp_path / 'whole')
    middle = tmp_path / 'whole' / 'epoch_1.pth'
    again, rest = run(name, tmp_path / 'parts', resume=True, load_from=str(middle))
    assert len(losses) == 4 and rest == losses[2:]
    for key, value in end.items():
        assert torch.equal(again[key], value), key
    saved = torch.load(middle, weights_only=True)['state_dict']
    averages = [k for k in end if k.startswith('momentum_encoder')]
    moved = [k for k in averages if not torch.equal(end[k], saved[k])]
    lagging = [k for k in moved if not torch.equal(end[k], end[k.partition('.')[2]])]
    assert len(lagging) > 20


@any_method
def test_evaluation_mode_changes_nothing(name):
    model = methods.build(name).eval()
    before = deepcopy(model.state_dict())
    with torch.no_grad():
        model.backbone.cls_token.add_(1.0)
        model.loss(*methods.batch(name))
        model.backbone.cls_token.sub_(1.0)
    for key, value in model.state_dict().items():
        torch.testing.assert_close(value, before[key], msg=key)


@pytest.mark.parametrize('name', ['mocov3', 'dino'])
def test_every_tensor_of_a_hiera_learns(name):
    neck = dict(methods.METHODS[name]['neck'], in_channels=64)
    model = methods.build(name, backbone=methods.HIERA, neck=neck)
    views = [view for view in methods.batch(name)[0] if view.shape[-1] == 32]
    model.loss(views)['loss'].backward()
    assert methods.silent(model) == []


@pytest.mark.parametrize(
    ('name', 'share', 'momentum'),
    [
        ('mocov3', 0.5, 0.995), ('mocov3', 1.0, 1.0), ('dino', 0.0, 0.996), ('dino', 0.5, 0.998),
        ('bootmae', 0.0, 0.999), ('bootmae', 0.125, 0.99945), ('bootmae', 0.25, 0.9999),
        ('bootmae', 1.0, 0.99999),
    ],
)  # fmt: skip
def test_momentum_rises_with_training(name, share, momentum):
    model = methods.build(name)
    methods.at(int(400 * share))
    assert training_progress() == (400 * share, 400)
    with torch.no_grad():
        model.backbone.cls_token.add_(1e3)
    old = model.momentum_encoder.backbone.cls_token.clone()
    model.loss(*methods.batch(name))
    moved = model.momentum_encoder.backbone.cls_token - old
    want = torch.full_like(old, 1e3 * (1 - momentum))
    torch.testing.assert_close(moved, want, atol=1e-6, rtol=1e-3)


def test_backbones_that_do_not_pool_and_too_few_views_are_refused():
    with pytest.raises(ArgumentError, match="MoCoV3 .* backbone.out_type is 'raw': choose from"):
        methods.build('mocov3', backbone=dict(methods.VIT, out_type='raw'))
    model, views = methods.build('dino'), methods.batch('dino')[0]
    for inputs in (views[:1], views[0]):
        with pytest.raises(ArgumentError, match='requires 2 views .* got 1: make them with'):
            model.loss(inputs)


#: Weight decay of the papers, and what is exempt from it.
