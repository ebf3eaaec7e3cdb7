"""A run that stops at a NaN, and the tool that runs its last step again."""

import multiprocessing
import os
import re
from contextlib import nullcontext

import pytest
import tiny_classifier
import tiny_tasks
import torch
import torch.distributed as dist
import trainings
from run_tool import run_tool
from tiny_fragile import write_config

from mmlite.engine import launch
from mmlite.errors import NonFiniteError

REPLAY = 'analysis_tools/replay'
ONCE = "default_hooks['finite'].update(max_skipped=1)\n"
RUNS = {
    'nan loss': dict(fault='nan loss'),
    'infinite loss': dict(fault='infinite loss'),
    'gradient': dict(fault='gradient'),
    'batch': dict(fault='batch'),
    'accumulated': dict(
        fault='nan loss', at=[2], extra='optim_wrapper.update(accumulative_counts=2)\n'
    ),
    'scaled': dict(
        fault='gradient', extra=ONCE + "optim_wrapper.update(type='ScaledOptimWrapper')\n"
    ),
}
"""Name -> options of the run; each stops at iteration 4."""


@pytest.fixture(autouse=True)
def local_rank(monkeypatch):
    monkeypatch.setenv('LOCAL_RANK', '0')


def train(folder, **options):
    """Train until it stops; returns the folder of the step."""
    config = write_config(folder, **{'at': [3], **options})
    assert run_tool('train', config, '--work-dir', folder / 'work') == 3
    return folder / 'work' / 'failed_step_4'


@pytest.fixture(scope='module')
def failed(tmp_path_factory):
    """The folder of a step whose loss is NaN."""
    return train(tmp_path_factory.mktemp('failed'), fault='nan loss')


@pytest.fixture
def replay(capsys):
    """Run the tool; returns its exit code, its output and its last line on stderr."""

    def run(*args):
        capsys.readouterr()
        code = run_tool(REPLAY, *args)
        captured = capsys.readouterr()
        assert 'Traceback' not in captured.out + captured.err
        return code, captured.out, captured.err.strip().split('\n')[-1]

    return run


@pytest.mark.parametrize('name', RUNS)
def test_the_step_is_reproduced_bit_for_bit(name, tmp_path, replay):
    code, out, _ = replay(train(tmp_path, **RUNS[name]))
    assert code == 0
    assert out.endswith('reproduced bit for bit\n')
    rows = re.findall(r'^(loss_error) +(\S+) +(\S+)$', out, re.M)
    assert len(rows) == (2 if name == 'accumulated' else 1)
    assert all(now == then for _, now, then in rows)
    assert ('\n  scale\n' in out) == (name in ('gradient', 'scaled'))


def test_training_says_how_to_run_the_step_again(tmp_path, capsys):
    folder = train(tmp_path, fault='gradient')
    line = capsys.readouterr().err.strip().split('\n')[-1]
    assert line == (
        'error: training stopped at iteration 4: the loss is finite, gradients are not finite in '
        f'scale; run that step again by: python tools/analysis_tools/replay.py {folder}'
    )


SABOTAGE = """
custom_imports = dict(imports=['tiny_fragile'])
custom_hooks = [dict(type='mmlite.Sabotage', fault={fault!r}, at=[1])]
"""
EMBEDDING = 'backbone.patch_embed.proj'
TASKS = {
    'detection': ('backbone.conv1', 'Conv2d'),
    'pretraining': ('backbone.blocks.0.attn.qkv', 'Linear'),
    'tracking': (EMBEDDING, 'Conv2d'),
    'classification': (EMBEDDING, 'Conv2d'),
    'segmentation': (EMBEDDING, 'Conv2d'),
}
"""Task -> the layer that gets a NaN, and its class."""


def write_task(task, folder):
    """The config of a small training."""
    if task == 'classification':
        return tiny_classifier.write(folder)
    if task == 'segmentation':
        return tiny_tasks.write('seg', folder).config
    return trainings.write(task, folder)


@pytest.mark.parametrize('task', TASKS)
def test_every_task_is_replayed_without_its_data(task, tmp_path, replay):
    """Targets, masks and mixtures are drawn as before; pictures and labels come from the file."""
    layer, kind = TASKS[task]
    config = write_task(task, tmp_path)
    config.write_text(config.read_text() + SABOTAGE.format(fault=f'{layer}.weight'))
    data = ('--cfg-options', f'val_dataloader.dataset.data_root={tmp_path}/data/')
    options = data if task == 'segmentation' else ()
    assert run_tool('train', config, '--work-dir', tmp_path / 'work', *options) == 3
    for path in [path for path in tmp_path.iterdir() if path.name != 'work']:
        path.rename(tmp_path / f'{path.name}.gone')
    code, out, error = replay(tmp_path / 'work' / 'failed_step_2', '--anomaly')
    assert code == 0, error
    assert f'not finite before the step: {layer}.weight\n' in out
    assert f'first output that is not finite: {layer} ({kind})\n' in out


@pytest.mark.parametrize(
    ('fault', 'wanted'),
    [
        ('nan loss', 'first output that is not finite: the model itself (FragileModel)'),
        ('batch', 'iteration 4: the batch is not finite: inputs[1]'),
        ('gradient', 'all outputs are finite; the backward pass of SqrtBackward0 gives a NaN'),
        ('gradient', "tests/tiny_fragile.py', line |extra = zero.abs().sqrt().sum() * 0"),
    ],
)
def test_anomaly_names_the_first_place(fault, wanted, tmp_path, replay):
    code, out, _ = replay(train(tmp_path, fault=fault), '--anomaly')
    assert code == 0
    assert wanted.rpartition('|')[2] in out


@pytest.mark.parametrize(
    ('spoil', 'message'),
    [
        (dict(losses=1.5), 'not reproduced: the step fails now, too, but with other loss terms'),
        (dict(gradients=['head.bias']), 'the step fails now, too, but with other gradients'),
        (dict(fault=''), 'not reproduced: the step is finite now'),
        (
            dict(fault='', world_size=2, machine='another'),
            'the step is finite now; it was one of 2 processes, which exchange gradients: try the '
            'other rank* beside it; it ran on another, and now on ',
        ),
    ],
)
def test_another_outcome_is_an_error(spoil, message, failed, tmp_path, replay):
    record = torch.load(failed / 'rank0' / 'step.pth', weights_only=True)
    if 'losses' in spoil:
        record['iterations'][0]['losses']['loss_error'] = spoil.pop('losses')
    if 'fault' in spoil:
        record['iterations'][0]['settings']['']['fault'] = spoil.pop('fault')
    torch.save({**record, **spoil}, tmp_path / 'step.pth')
    (tmp_path / 'config.py').write_bytes((failed / 'rank0' / 'config.py').read_bytes())
    code, _, error = replay(tmp_path)
    assert code == 1
    assert message in error


def truncate(folder):
    file = folder / 'rank0' / 'step.pth'
    file.write_bytes(file.read_bytes()[:-1000])
    return [folder]


def other_file(folder):
    torch.save(dict(state_dict={}), folder / 'rank0' / 'step.pth')
    return [folder]


def no_config(folder):
    (folder / 'rank0' / 'config.py').unlink()
    return [folder]


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (lambda folder: ['nowhere'], 'nowhere does not exist: give a folder failed_step_*'),
        (lambda folder: [folder.parent], 'holds no failed step: give a folder failed_step_*'),
        (lambda folder: [folder / 'rank7'], 'failed_step_4/rank7 does not exist: there is rank0'),
        (truncate, 'step.pth is truncated'),
        (other_file, 'step.pth holds no failed step: FiniteHook writes them'),
        (no_config, 'config not found: '),
        (lambda folder: [folder, '--device', 'gpu'], "device 'gpu' is unknown"),
        (
            lambda folder: [folder, '--cfg-options', 'model.type=TinyModel'],
            "'scale' is not in both the step and this config",
        ),
    ],
)
def test_bad_input_is_one_sentence(arguments, message, failed, tmp_path, replay):
    folder = tmp_path / failed.name
    (folder / 'rank0').mkdir(parents=True)
    for file in (failed / 'rank0').iterdir():
        (folder / 'rank0' / file.name).write_bytes(file.read_bytes())
    code, _, error = replay(*arguments(folder))
    assert code in (1, 2)
    assert error.startswith('error: ') and message in error


def test_mixed_precision_is_replayed_in_full_where_there_is_no_gpu(failed, replay, monkeypatch):
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    options = ('--cfg-options', 'optim_wrapper.type=AmpOptimWrapper')
    code, out, error = replay(failed, *options)
    assert code == 0, error
    assert out.startswith('no GPU: in full precision, where the step was in mixed precision\n')


def share(config, work, rank):
    """Train as one of two processes; writes its error beside the work directory. Never returns."""
    os.environ.update(LOCAL_RANK=str(rank), RANK=str(rank), WORLD_SIZE='2')
    meeting = f'file://{work}.meeting'
    dist.init_process_group('gloo', init_method=meeting, rank=rank, world_size=2)
    try:
        launch.train(launch.read_config(config, str(work), launcher='pytorch'))
    except NonFiniteError as error:
        work.with_name(f'rank{rank}.txt').write_text(str(error))
    finally:
        os._exit(0)


def test_two_processes_stop_together(tmp_path, replay, monkeypatch):
    """The loss of one is infinite and all gradients are finite: nothing tells the other but us."""
    monkeypatch.setattr(launch, 'get_device', lambda: 'cpu')
    monkeypatch.setattr(
        'mmlite.engine.hooks.finite.report_errors_once', lambda *_, **__: nullcontext()
    )
    config = write_config(tmp_path, fault='infinite loss', at=[3], rank=1)
    fork = multiprocessing.get_context('fork')
    arguments = [(config, tmp_path / 'work', rank) for rank in (0, 1)]
    processes = [fork.Process(target=share, args=args) for args in arguments]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=60)
        process.kill()  # one that waits for the other, which has gone on
    first, second = ((tmp_path / f'rank{rank}.txt').read_text() for rank in (0, 1))
    assert first.startswith('training stopped at iteration 4: the loss of process 1 is not finite;')
    assert second.startswith('training stopped at iteration 4: loss is inf, loss_extra is inf;')
    folder = tmp_path / 'work' / 'failed_step_4'
    one, two = (
        torch.load(folder / rank / 'step.pth', weights_only=True)['weights']['head.weight']
        for rank in ('rank0', 'rank1')
    )
    assert torch.equal(one, two)
    code, out, error = replay(folder)
    assert code == 0, error
    assert out.startswith(f'{folder}/rank1: training stopped at iteration 4: loss is inf')
    code, _, error = replay(folder / 'rank0')
    assert code == 1
    assert 'the step is finite now; it was one of 2 processes' in error
