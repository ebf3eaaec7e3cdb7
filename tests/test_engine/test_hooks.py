"""Checkpoint, gradient-exchange and skip-counting hooks in real runners."""

import shutil
from collections import Counter, namedtuple
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
import torch
import torch.distributed as dist
from mmengine.config import ConfigDict
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel
from mmengine.model.wrappers import MMDistributedDataParallel
from mmengine.runner import Runner

from mmlite.engine.checkpointing import find_checkpoint
from mmlite.engine.hooks import CheckpointFitHook, CheckpointHook, DDPCommHook
from mmlite.engine.hooks.checkpoint import MIDWAY
from mmlite.errors import CheckpointError
from mmlite.registry import METRICS

Usage = namedtuple('Usage', 'total used free')


@METRICS.register_module(force=True)
class Rising(BaseMetric):
    """A score that grows with every evaluation, as a NumPy number."""

    value = 0.0

    def process(self, data_batch, data_samples):
        self.results.append(1)

    def compute_metrics(self, results):
        type(self).value += 1.0
        return dict(score=np.float64(self.value))


def config(work_dir, epochs, **checkpoint):
    return ConfigDict(
        model=dict(type='mmlite.TinyModel'),
        work_dir=str(work_dir),
        train_dataloader=tiny.NUMBERS,
        val_dataloader=tiny.NUMBERS,
        val_evaluator=dict(type='mmlite.Rising'),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        val_cfg={},
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=0.01)),
        param_scheduler=[dict(type='MultiStepLR', milestones=[1, 2], gamma=0.5)],
        default_hooks=dict(checkpoint=dict(type='mmlite.CheckpointHook', interval=1, **checkpoint)),
        randomness=dict(seed=0),
        experiment_name=f'{work_dir.name}-{epochs}-{len(list(work_dir.glob("*")))}',
    )


def run(cfg):
    """Train; returns the runner and the loss of every iteration."""
    runner = Runner.from_cfg(cfg)
    losses = tiny.Losses()
    runner.register_hook(losses)
    runner.train()
    return runner, losses.seen


def test_checkpoints_are_plain_and_describe_the_backbone(tmp_path):
    run(config(tmp_path, 1, save_best='score', rule='greater'))
    files = sorted(path.name for path in tmp_path.glob('*.pth'))
    assert files == ['best_score_epoch_1.pth', 'epoch_1.pth']
    for name in files:
        checkpoint = torch.load(tmp_path / name, weights_only=True)
        assert checkpoint['meta']['backbone'] == tiny.TinyBackbone().describe()
    assert set(checkpoint) == {
        'meta', 'state_dict', 'message_hub', 'optimizer', 'param_schedulers', 'random_states'
    }  # fmt: skip
    assert checkpoint['message_hub']['runtime_info']['best_score'] == Rising.value


def test_resuming_continues_losses_schedules_and_history(tmp_path):
    (tmp_path / 'whole').mkdir()
    (tmp_path / 'parts').mkdir()
    _, whole = run(config(tmp_path / 'whole', 4))
    cfg = config(tmp_path / 'parts', 4)
    cfg.load_from, cfg.resume = str(tmp_path / 'whole' / 'epoch_2.pth'), True
    runner, rest = run(cfg)
    assert len(whole) == 8
    assert rest == whole[4:]
    np.testing.assert_allclose(runner.message_hub.get_scalar('train/loss').data[0], whole)
    assert runner.param_schedulers[0].milestones == Counter([1, 2])
    assert runner.optim_wrapper.get_lr()['lr'][0] == 0.01 * 0.5**2


def test_an_own_checkpoint_of_mmengine_can_be_resumed(tmp_path):
    cfg = config(tmp_path, 2)
    cfg.default_hooks.checkpoint.type = 'CheckpointHook'
    _, first = run(cfg)
    cfg = config(tmp_path, 3)
    cfg.resume = True
    runner, rest = run(cfg)
    assert len(rest) == 2
    np.testing.assert_allclose(runner.message_hub.get_scalar('train/loss').data[0], first + rest)


def test_the_config_text_in_a_checkpoint_is_never_run(tmp_path):
    run(config(tmp_path, 1))
    file = tmp_path / 'epoch_1.pth'
    checkpoint = torch.load(file, weights_only=True)
    checkpoint['meta']['config'] = f'open({str(tmp_path / "hacked")!r}, "w").close()'
    torch.save(checkpoint, file)
    cfg = config(tmp_path, 2)
    cfg.resume = True
    run(cfg)
    assert not (tmp_path / 'hacked').exists()
    assert (tmp_path / 'epoch_2.pth').exists()


LAST = dict(max_keep_ckpts=1)
BEST = dict(save_best='score', rule='greater')


@pytest.mark.parametrize(
    ('options', 'written', 'failing', 'left'),
    [
        (LAST, 2, 'epoch_2', ['epoch_1.pth']),
        (dict(max_keep_ckpts=-1), 2, 'epoch_2', ['epoch_1.pth']),
        # last, best, last again with the score, last; 3 pointers
        (BEST, 7, 'best_score_epoch_2', ['best_score_epoch_1.pth', 'epoch_1.pth', 'epoch_2.pth']),
    ],
)
def test_no_space_left_keeps_earlier_checkpoints(
    options, written, failing, left, tmp_path, monkeypatch
):
    disk = iter([Usage(1, 0, 10**12)] * written)  # checkpoints, and pointers to the last
    monkeypatch.setattr(shutil, 'disk_usage', lambda path: next(disk, Usage(1, 1, 17)))
    with pytest.raises(CheckpointError) as error:
        run(config(tmp_path, 2, **options))
    message = str(error.value)
    assert message.startswith(f'no space left to write {tmp_path}/{failing}.pth: ')
    assert message.endswith('bytes needed, 17 free on that disk; earlier checkpoints are intact')
    assert sorted(path.name for path in tmp_path.glob('*pth*')) == left
    last = tmp_path / left[-1]
    assert torch.load(last, weights_only=True)['meta']['epoch'] == int(last.stem[-1])
    assert (tmp_path / 'last_checkpoint').read_text() == str(last)


def test_outdated_checkpoints_go_after_saving(tmp_path):
    run(config(tmp_path, 3, **LAST, **BEST))
    names = sorted(path.name for path in tmp_path.glob('*pth*'))
    assert names == ['best_score_epoch_3.pth', 'epoch_3.pth']


@pytest.mark.parametrize('copied', [True, False])
@pytest.mark.parametrize('best', [BEST, dict(save_best=['score', 'twin'], rule='greater')])
def test_a_resumed_copy_leaves_the_original_alone(best, copied, tmp_path, monkeypatch):
    compute = Rising.compute_metrics
    monkeypatch.setattr(
        Rising, 'compute_metrics', lambda *args: dict(compute(*args), twin=Rising.value)
    )
    first, second = tmp_path / 'first', tmp_path / 'second'
    first.mkdir()
    runner, _ = run(config(first, 2, **LAST, **best))
    runner.message_hub.update_info(MIDWAY, str(first / 'epoch_1_iter_3.pth'))
    hook = next(hook for hook in runner.hooks if isinstance(hook, CheckpointHook))
    (first / 'epoch_1_iter_3.pth').touch()
    hook._save(runner, 'epoch_2.pth', dict(epoch=2, iter=4))
    before = sorted(first.iterdir())
    (shutil.copytree if copied else shutil.move)(first, second)
    cfg = config(second, 3, **LAST, **best)
    cfg.load_from, cfg.resume = str(find_checkpoint(second)), True
    run(cfg)
    names = {path.name for path in second.glob('*.pth')}
    assert names == {'epoch_3.pth', *(f'best_{k}_epoch_3.pth' for k in hook.key_indicators)}
    assert sorted(first.glob('*')) == (before if copied else [])


def test_a_new_best_under_an_old_name_is_kept(tmp_path):
    run(config(tmp_path, 1, **BEST))
    cfg = config(tmp_path, 1, **BEST)
    cfg.load_from = str(tmp_path / 'epoch_1.pth')
    runner = Runner.from_cfg(cfg)
    hook = next(h for h in runner.hooks if type(h).__name__ == 'CheckpointHook')
    earlier = Hook()
    earlier.before_train = lambda runner: setattr(hook, 'best_ckpt_path', best)
    best = str(tmp_path / 'best_score_epoch_1.pth')
    runner.register_hook(earlier, priority='LOWEST')
    runner.train()
    assert (tmp_path / 'best_score_epoch_1.pth').exists()


@pytest.fixture
def one_process_group(tmp_path):
    meeting = f'file://{tmp_path}/meeting'
    dist.init_process_group('gloo', init_method=meeting, rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def test_gradients_are_exchanged_in_half_precision(one_process_group):
    model = torch.nn.Linear(3, 1, bias=False)
    inputs = torch.tensor([[1 / 3, 1e-9, 1000.0]])
    wrapped = MMDistributedDataParallel(model)
    runner = _runner(wrapped)
    DDPCommHook().before_train(runner)
    torch.nn.Module.__call__(wrapped.module, inputs)
    torch.nn.parallel.DistributedDataParallel.forward(wrapped, inputs).sum().backward()
    torch.testing.assert_close(model.weight.grad, inputs.half().float(), rtol=0, atol=0)
    assert not torch.equal(model.weight.grad, inputs)
    assert 'fp16' in runner.logger.lines[0]


def _runner(model):
    lines = []
    return SimpleNamespace(model=model, logger=SimpleNamespace(lines=lines, info=lines.append))


def fit(model, checkpoint, whole, folder):
    """Let :class:`CheckpointFitHook` look at a checkpoint."""
    runner = type('Fake', (), dict(model=model, cfg=dict(load_from='x.pth'), work_dir=str(folder)))
    CheckpointFitHook(whole).after_load_checkpoint(runner, checkpoint)


def checkpoint_of(model, **recorded):
    meta = dict(backbone={**model.backbone.describe(), **recorded})
    return dict(meta=meta, state_dict={f'module.{k}': v for k, v in model.state_dict().items()})


class Wrapped(BaseTTAModel):
    def merge_preds(self, data_samples_list):
        return data_samples_list


@pytest.mark.parametrize('whole', [True, False])
def test_a_checkpoint_fits_the_model_but_not_one_of_other_heads(whole, tmp_path):
    model = tiny.TinyModel()
    fit(model, checkpoint_of(model), whole, tmp_path)
    fit(model, model.state_dict(), whole, tmp_path)  # bare weights
    fit(Wrapped(model), checkpoint_of(model, img_size=9), whole, tmp_path)
    message = 'x.pth: the checkpoint was trained with num_heads=3 but the config builds num_heads=1'
    with pytest.raises(CheckpointError, match=message):
        fit(model, checkpoint_of(model, num_heads=3), whole, tmp_path)


@pytest.mark.parametrize('whole', [True, False])
@pytest.mark.parametrize(
    ('container', 'prefix'),
    [('model', ''), (None, ''), ('state_dict', '_orig_mod.'), ('net', 'module.module.')],
)
def test_weights_reach_mmengine_under_any_key_and_prefix(container, prefix, whole, tmp_path):
    model = tiny.TinyModel()
    weights = {f'{prefix}{key}': value.numpy() for key, value in model.state_dict().items()}
    checkpoint = {container: weights} if container else weights
    fit(model, checkpoint, whole, tmp_path)
    torch.testing.assert_close(checkpoint['state_dict'], model.state_dict())


@pytest.mark.parametrize('whole', [True, False])
def test_weights_of_another_model_or_of_a_diverged_training(whole, tmp_path):
    model = tiny.TinyModel()
    other = {f'student.{key}': value for key, value in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=r'11 of 11 .*; its keys are student\.'):
        fit(model, other, whole, tmp_path)
    model.head.weight.data[0, 2] = float('nan')
    with pytest.raises(CheckpointError, match=r"x.pth: 'head.weight' holds NaN"):
        fit(model, checkpoint_of(model), whole, tmp_path)


def test_fine_tuning_may_start_from_parts_but_evaluation_may_not(tmp_path):
    model = tiny.TinyModel()
    partial, other = checkpoint_of(model), checkpoint_of(model)
    del partial['state_dict']['module.head.bias']
    other['state_dict']['module.head.weight'] = torch.zeros(7, 4)
    missing = r"does not hold this model: 1 of 11 tensors are not in it \(first 'head\.bias'\)"
    shape = r"'head\.weight' has shape \(7, 4\), but the config builds \(1, 4\)"
    for checkpoint, message in ((partial, missing), (other, shape)):
        fit(model, checkpoint, False, tmp_path)
        with pytest.raises(CheckpointError, match=f'^x.pth .*{message}'):
            fit(model, checkpoint, True, tmp_path)


def test_what_the_backbone_resamples_fits(tmp_path):
    model = tiny.TinyModel()
    checkpoint = checkpoint_of(model)
    checkpoint['state_dict']['module.backbone.pos_embed'] = torch.zeros(1, 9)
    with pytest.raises(CheckpointError, match=r"'backbone\.pos_embed' has shape \(1, 9\)"):
        fit(model, checkpoint, True, tmp_path)
    model.backbone.fit_to_size = lambda name, given, own: given[:, :4] if 'pos' in name else None
    fit(model, checkpoint, True, tmp_path)
