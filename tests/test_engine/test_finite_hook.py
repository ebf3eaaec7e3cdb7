"""FiniteHook in real runners: where training stops, what is left then, and what it leaves alone."""

import re

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import Runner
from tiny_fragile import FragileModel, write_config

from mmlite.engine.nonfinite.step import StepKeeper
from mmlite.engine.nonfinite.watch import FiniteWatch
from mmlite.errors import NonFiniteError

ACCUMULATED = 'optim_wrapper.update(accumulative_counts=2)\n'
CLIPPED = 'optim_wrapper.update(clip_grad=dict(max_norm=1.0))\n'
SCALED = "optim_wrapper.update(type='ScaledOptimWrapper')\n"
PATIENT = SCALED + "default_hooks['finite'].update(max_skipped=2)\n"
BY_EPOCH = """
train_cfg = dict(by_epoch=True, max_epochs=2)
train_dataloader.update(sampler=dict(type='DefaultSampler', shuffle=True))
"""
SCHEDULED = "param_scheduler = [dict(type='LinearLR', by_epoch=False, end=6)]\n"
FUSED = "optim_wrapper['optimizer'].update(fused=True)\n"


def build(folder, name='run', **options):
    cfg = Config.fromfile(write_config(folder, name=f'{name}.py', **options))
    cfg.work_dir = str(folder / name)
    cfg.experiment_name = f'{folder.name}-{name}'
    return Runner.from_cfg(cfg)


def states(runner):
    """The model's state before each iteration."""
    return next(hook for hook in runner.hooks if type(hook).__name__ == 'Sabotage').seen


def stop(folder, **options):
    """Train until it stops; returns the runner and the error."""
    runner = build(folder, **options)
    with pytest.raises(NonFiniteError) as caught:
        runner.train()
    return runner, str(caught.value)


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def wrap(module, lr=0.0):
    return OptimWrapper(torch.optim.SGD(module.parameters(), lr=lr))


def trained(state):
    return {k: v for k, v in state.items() if k.startswith(('backbone', 'head', 'scale'))}


@pytest.mark.parametrize('extra', ['', BY_EPOCH + CLIPPED, SCALED + CLIPPED, SCALED + FUSED])
@pytest.mark.parametrize(
    ('fault', 'message'),
    [
        ('nan loss', 'loss is nan, loss_extra is nan;'),
        ('infinite loss', 'loss is inf, loss_extra is inf;'),
        ('gradient', 'the loss is finite, gradients are not finite in scale[,;]'),
        ('batch', 'loss is nan, loss_error is nan, gradients are not finite in backbone.pos_embed'),
    ],
)
def test_training_stops_before_a_weight_changes(fault, message, extra, tmp_path):
    extra += "default_hooks['finite'].update(max_skipped=1)\n"
    runner, error = stop(tmp_path, fault=fault, at=[3], extra=extra)
    assert runner.iter == 3
    assert re.search(f'^training stopped at iteration 4: ({message})', error)
    assert equal(trained(runner.model.state_dict()), trained(states(runner)[3]))
    assert not equal(trained(states(runner)[3]), trained(states(runner)[2]))


def test_the_record_is_the_state_before_the_step(tmp_path):
    runner, error = stop(tmp_path, fault='nan loss', at=[3])
    directory = tmp_path / 'run' / 'failed_step_4'
    assert error.endswith(f'again by: python tools/analysis_tools/replay.py {directory}')
    record = torch.load(directory / 'rank0' / 'step.pth', weights_only=True)
    assert equal(record['weights'], states(runner)[3])
    assert not equal(runner.model.state_dict(), states(runner)[3])  # statistics have moved on
    assert record['iterations'][0]['iter'] == 3
    assert record['optimizer']['state'][0]['step'] == 3
    assert Config.fromfile(directory / 'rank0' / 'config.py').model.type == 'FragileModel'


def test_a_scaler_may_skip_now_and_then(tmp_path):
    """Skipped steps that are not in a row are no failure; a good one resets the count."""
    runner = build(tmp_path, fault='gradient', at=[1, 3, 5], extra=PATIENT)
    runner.train()
    before = [trained(state) for state in states(runner)]
    unchanged = [equal(a, b) for a, b in zip(before[:-1], before[1:], strict=True)]
    assert unchanged == [False, True, False, True, False]


@pytest.mark.parametrize('extra', [PATIENT, PATIENT + FUSED], ids=['', 'fused'])
def test_a_scaler_may_not_skip_for_ever(extra, tmp_path):
    runner, error = stop(tmp_path, fault='gradient', at=[1, 3, 4, 5], extra=extra)
    assert runner.iter == 4
    assert 'the gradient scaler has skipped 2 updates in a row' in error
    record = torch.load(tmp_path / 'run/failed_step_5/rank0/step.pth', weights_only=True)
    assert record['optimizer']['loss_scaler']['scale'] == 1024 / 4


def test_accumulated_iterations_are_one_step(tmp_path):
    """The loss fails in the first of two iterations; both are kept, and the weights before them."""
    runner, error = stop(tmp_path, fault='nan loss', at=[2], extra=ACCUMULATED)
    assert 'iteration 4: loss is nan, loss_extra is nan at iteration 3' in error
    record = torch.load(tmp_path / 'run/failed_step_4/rank0/step.pth', weights_only=True)
    assert [state['iter'] for state in record['iterations']] == [2, 3]
    assert len(record['batches']) == 2
    assert equal(record['weights'], states(runner)[2])
    assert record['counts'][0][0] == 2


@pytest.mark.parametrize('extra', ['', ACCUMULATED, CLIPPED, SCALED, SCHEDULED + BY_EPOCH])
def test_an_undisturbed_run_is_the_same_with_the_hook(extra, tmp_path, recwarn):
    ends, attributes = [], []
    for name, without in (('with', ''), ('without', "default_hooks.pop('finite')\n")):
        runner = build(tmp_path, name, extra=extra + without)
        runner.train()
        ends.append(runner.model.state_dict())
        attributes.append([*vars(runner.optim_wrapper), *vars(runner.model)])
    assert equal(*ends)
    assert attributes[0] == attributes[1]
    assert not [w for w in recwarn if 'has been overridden' in str(w.message)]


def test_several_optimizers_are_all_watched():
    """The first has made its step when the second fails: the record is of before both."""
    model = FragileModel()
    parts = dict(head=wrap(model.head, lr=1.0), backbone=wrap(model.backbone, lr=1.0))
    wrappers = OptimWrapperDict(**parts)
    failures = []
    watch = FiniteWatch(model, wrappers, lambda *found: failures.append(found), max_skipped=1)
    keeper = StepKeeper(model, wrappers)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    keeper.begin(0, {})
    wrappers['head'].update_params(model.head.bias.sum())
    assert not failures and not equal(model.state_dict(), before)
    wrappers['backbone'].update_params(model.backbone.norm.bias.sum() * float('inf'))
    assert failures == [(['backbone.norm.bias'], 0)]
    record = keeper.record()
    assert equal(record['weights'], before)
    assert record['optimizer'].keys() == parts.keys()
    watch.remove()
    assert 'step' not in vars(wrappers['backbone'])


def sparse(values):
    return torch.sparse_coo_tensor([[0, 2, 3]], values, (5,), check_invariants=True).coalesce()


@pytest.mark.parametrize('wrong', [None, float('nan'), float('-inf')])
@pytest.mark.parametrize(
    'kind', [torch.float16, torch.bfloat16, torch.float64, torch.complex64, 'strided', 'sparse']
)
def test_gradients_of_every_kind_are_looked_at_and_left_as_they_are(kind, wrong):
    """Beside one of single precision; the numbers are a subnormal one and the largest."""
    dtype = kind if isinstance(kind, torch.dtype) else torch.float32
    real = dtype.to_real()
    values = torch.tensor([torch.finfo(real).tiny / 4, -0.0, torch.finfo(real).max], dtype=real)
    if wrong is not None:
        values[1] = wrong
    make = {
        torch.complex64: lambda v: torch.complex(torch.zeros(3), v),
        'strided': lambda v: torch.stack([v, v], dim=1)[:, 1],
        'sparse': sparse,
    }.get(kind, torch.clone)
    grads = dict(plain=torch.ones(2), other=make(values))
    model = torch.nn.ParameterDict(
        {k: torch.ones(g.shape, dtype=g.dtype) for k, g in grads.items()}
    )
    wrapper = wrap(model)
    found = []
    watch = FiniteWatch(model, wrapper, lambda *what: found.append(what), max_skipped=1)
    before = {name: grad.clone() for name, grad in grads.items()}
    for name, grad in grads.items():
        model[name].grad = grad
    wrapper.step()
    watch.remove()
    assert found == ([] if wrong is None else [(['other'], 0)])
    for name, grad in grads.items():
        torch.testing.assert_close(grad, before[name], rtol=0, atol=0, equal_nan=True)


def test_a_step_that_cannot_be_kept_stops_all_the_same(tmp_path):
    (tmp_path / 'run').mkdir()
    (tmp_path / 'run' / 'failed_step_1').write_text('in the way')
    _, error = stop(tmp_path, fault='nan loss', at=[0])
    assert 'the step could not be kept: cannot write ' in error
