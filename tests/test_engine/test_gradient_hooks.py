"""Hooks between the backward pass and the optimizer's step."""

from types import SimpleNamespace

import pytest
import tiny
import torch
from mmengine.config import ConfigDict
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import Runner
from torch import nn

from mmlite.engine.hooks import ClipEachTensorHook, ClipNormHook, FrozenTeacherHook
from mmlite.errors import UserError


def clip(optimizer, max_norm=1.0, kind=ClipEachTensorHook, **options):
    """Register a hook with a bare optimizer; returns the hook and the optimizer's wrapper."""
    hook, wrapper = kind(max_norm), OptimWrapper(optimizer, **options)
    hook.before_train(SimpleNamespace(optim_wrapper=wrapper))
    return hook, wrapper


def test_every_tensor_is_clipped_on_its_own():
    """Gradients of norm 10, 0.5 and none become 1, 0.5 and none; SGD of rate 1 shows them."""
    parameters = [nn.Parameter(torch.zeros(4)) for _ in range(3)]
    optimizer = torch.optim.SGD(parameters, lr=1.0)
    hook, _ = clip(optimizer)
    long, short = torch.tensor([6.0, 8.0, 0, 0]), torch.tensor([0, 0, 0.3, 0.4])
    parameters[0].grad, parameters[1].grad = long.clone(), short.clone()
    optimizer.step()
    torch.testing.assert_close(parameters[0].detach(), -long / 10)
    torch.testing.assert_close(parameters[1].detach(), -short)
    assert not parameters[2].any()
    hook.after_train(None)
    parameters[0].grad = long.clone()
    before = parameters[0].detach().clone()
    optimizer.step()
    torch.testing.assert_close(parameters[0].detach(), before - long)


@pytest.mark.parametrize('max_norm', [0.1, 100.0])
def test_norm_of_all_gradients_is_clipped_as_torch_does(max_norm):
    parameters = [nn.Parameter(torch.zeros(4)) for _ in range(3)]
    optimizer = torch.optim.SGD(parameters, lr=1.0)
    clip(optimizer, max_norm, ClipNormHook)
    for seed, parameter in enumerate(parameters[:2]):
        parameter.grad = torch.randn(4, generator=torch.Generator().manual_seed(seed))
    expected = [nn.Parameter(torch.zeros(4)) for _ in range(2)]
    for copy, parameter in zip(expected, parameters, strict=False):
        copy.grad = parameter.grad.clone()
    torch.nn.utils.clip_grad_norm_(expected, max_norm)
    optimizer.step()
    for copy, parameter in zip(expected, parameters, strict=False):
        torch.testing.assert_close(parameter.detach(), -copy.grad)


@pytest.mark.parametrize('fused', [False, True])
def test_clipping_sees_unscaled_gradients_under_amp(fused):
    """The scaler unscales before the step, and a fused optimizer inside of it."""
    trained = []
    for scale in (None, 1024.0):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 1))
        # no Adam: its step does not depend on the length of a gradient
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, fused=fused)
        clip(optimizer, max_norm=0.05)
        scaler = torch.amp.GradScaler('cpu', init_scale=scale or 1.0, enabled=scale is not None)
        for _ in range(3):
            loss = (model(torch.randn(16, 4)) - 3).square().mean()
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
        trained.append([p.detach().clone() for p in model.parameters()])
    torch.testing.assert_close(*trained)


@pytest.mark.parametrize('kind', [ClipEachTensorHook, ClipNormHook])
def test_clipping_takes_mixed_types_and_no_gradient_at_all(kind):
    parameters = [nn.Parameter(torch.zeros(2, dtype=t)) for t in (torch.float32, torch.bfloat16)]
    optimizer = torch.optim.SGD(parameters, lr=1.0)
    clip(optimizer, kind=kind)
    optimizer.step()
    assert not any(p.any() for p in parameters)
    for parameter in parameters:
        parameter.grad = torch.tensor([6.0, 8.0], dtype=parameter.dtype)
    optimizer.step()
    total = 10 if kind is ClipEachTensorHook else 200**0.5
    for parameter in parameters:
        want = -torch.tensor([6.0, 8.0]) / total
        torch.testing.assert_close(parameter.detach().float(), want, rtol=1e-2, atol=0)


def test_several_optimizers_are_refused():
    wrapper = OptimWrapper(torch.optim.SGD([nn.Parameter(torch.zeros(2))], lr=1.0))
    runner = SimpleNamespace(optim_wrapper=OptimWrapperDict(a=wrapper, b=wrapper))
    with pytest.raises(UserError, match='ClipNormHook needs a run with one optimizer, .* a, b'):
        ClipNormHook(1.0).before_train(runner)


def test_a_teacher_that_changes_is_an_error():
    weight = torch.zeros(2)
    model = nn.Module()
    model.distill = SimpleNamespace(teacher_checksum=lambda: weight.clone())
    runner = SimpleNamespace(model=model, iter=0)
    hook = FrozenTeacherHook()
    hook.before_train(runner)
    hook.after_train_iter(runner, 0)
    weight += 1
    with pytest.raises(UserError, match='the weights of the frozen teacher have changed'):
        hook.after_train_iter(runner, 0)


def test_accumulated_gradients_are_clipped_once():
    parameter = nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    _, wrapper = clip(optimizer, accumulative_counts=2)
    for direction in (torch.tensor([6.0, 0.0]), torch.tensor([0.0, 8.0])):
        wrapper.update_params((parameter * direction).sum())
    torch.testing.assert_close(parameter.detach(), -torch.tensor([0.6, 0.8]))


class Weights(Hook):
    """Copies of the weights before training and after every iteration."""

    def __init__(self):
        self.seen = []

    def before_train(self, runner):
        self.seen.append({n: p.detach().clone() for n, p in runner.model.named_parameters()})

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.before_train(runner)


def train(folder, names, train_cfg, **options):
    """Four iterations, two an epoch; returns the weights before and after each."""
    runner = Runner.from_cfg(
        ConfigDict(
            model=dict(type='mmlite.TinyModel'),
            work_dir=str(folder),
            train_dataloader=tiny.NUMBERS,
            train_cfg=train_cfg,
            optim_wrapper=dict(optimizer=dict(type='AdamW', lr=0.01, weight_decay=0.1)),
            custom_hooks=[dict(type='mmlite.FreezeLayersHook', names=names, **options)],
            experiment_name=folder.name,
        )
    )
    weights = Weights()
    runner.register_hook(weights)
    runner.train()
    return weights.seen


@pytest.mark.parametrize(
    'train_cfg', [dict(by_epoch=True, max_epochs=2), dict(by_epoch=False, max_iters=4)]
)
def test_layers_are_frozen_for_one_epoch(train_cfg, tmp_path):
    """Neither gradients nor weight decay move them, in both kinds of loops."""
    seen = train(tmp_path, ['head', 'backbone.patch_embed.weight'], train_cfg)
    frozen = {'head.weight', 'head.bias', 'backbone.patch_embed.weight'}
    for step, (before, after) in enumerate(zip(seen[:-1], seen[1:], strict=True)):
        moved = {name for name in before if not torch.equal(before[name], after[name])}
        assert moved == set(before) - (frozen if step < 2 else set())


def test_part_of_an_epoch(tmp_path):
    seen = train(tmp_path, ['head'], dict(by_epoch=True, max_epochs=1), epochs=0.5)
    start, half, end = (weights['head.bias'] for weights in seen)
    assert torch.equal(start, half) and not torch.equal(half, end)


def test_wrong_options_are_errors(tmp_path):
    with pytest.raises(UserError, match="no trainable parameter under 'hea'; did you mean 'head'"):
        train(tmp_path, ['hea'], dict(by_epoch=True, max_epochs=1))
    with pytest.raises(UserError, match='ClipEachTensorHook: max_norm must be > 0 .got 0.'):
        ClipEachTensorHook(0)
