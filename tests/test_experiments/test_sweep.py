"""Sweeps by the tool: with a stand-in that trains in no time, and once for real."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import filelock
import pytest
import tiny
import torch
from run_tool import TOOLS, run_tool

from mmlite.errors import UserError
from mmlite.experiments import trial
from mmlite.experiments.grid import INIT, Trial
from mmlite.experiments.sweep import make_environment, visible_gpus

LR = 'optim_wrapper.optimizer.lr'
MOMENTUM = 'optim_wrapper.optimizer.momentum'

# In place of tools/train.py: logs an mIoU of 100 x lr + seed, and leaves a checkpoint. A rate of 7
# fails after the checkpoint, unless the file ``fixed`` exists; a rate of 9 never ends.
STAND_IN = """
import json, os, pathlib, sys, time

work = pathlib.Path(sys.argv[sys.argv.index('--work-dir') + 1])
options = dict(item.split('=', 1) for item in sys.argv if item.startswith(('optim', 'random')))
rate = float(options['optim_wrapper.optimizer.lr'])
(work / 'environment.json').write_text(json.dumps(dict(os.environ)))
(work / 'last_checkpoint').write_text('epoch_1.pth')
if rate == 7 and not pathlib.Path(__file__).with_name('fixed').exists():
    sys.exit('error: seven is too much\\nTerminated')
if rate == 9:
    time.sleep(600)
log = work / f'{time.time_ns()}' / 'vis_data' / 'scalars.json'
log.parent.mkdir(parents=True)
records = [dict(loss=1 / rate, lr=rate, time=1, step=1)]
records.append(dict(mIoU=100 * rate + int(options.get('randomness.seed', 0)), time=1, step=1))
log.write_text(''.join(json.dumps(record) + '\\n' for record in records))
"""


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A directory with data and config of the small detector."""
    folder = tmp_path_factory.mktemp('sweep')
    tiny.write_detector(folder)
    return folder


@pytest.fixture
def sweep(folder, tmp_path, monkeypatch):
    """Function: run the tool with the stand-in; returns its exit code."""
    stand_in = tmp_path / 'stand_in.py'
    stand_in.write_text(STAND_IN)

    def run(*args, train=stand_in, config=folder / 'detector.py'):
        monkeypatch.setattr(trial, 'TRAIN', train)
        return run_tool('sweep', config, '--work-dir', tmp_path / 'work', *args)

    return run


def started(captured):
    """Names of the trials that were started, in order."""
    return re.findall(r'^\S+ \[\d+/\d+\] (\S+) started', captured.out, re.MULTILINE)


def error(captured):
    """The sentence on stderr."""
    (line,) = captured.err.splitlines()
    return line.removeprefix('error: ')


def record(tmp_path, name):
    return json.loads((tmp_path / 'work' / name / 'trial.json').read_text())


def unfinish(tmp_path, name):
    """Make a finished trial one that was interrupted after its checkpoint."""
    kept = dict(settings=record(tmp_path, name)['settings'])
    (tmp_path / 'work' / name / 'trial.json').write_text(json.dumps(kept))


def test_a_grid_is_trained_and_tabulated(sweep, tmp_path, capsys):
    assert sweep('--grid', f'{LR}=0.1,0.3', '--seeds', 0, 2, '--no-amp') == 0
    captured = capsys.readouterr()
    assert started(captured) == [f'lr={lr}_seed={seed}' for lr in ('0.1', '0.3') for seed in (0, 2)]
    assert re.search(r'\[4/4\] lr=0.3_seed=2 finished in [\d:]+: mIoU 32\n', captured.out)
    assert re.search(r'mIoU 30; at most [\d:]+ left\n', captured.out)
    table = (tmp_path / 'work' / 'table.md').read_text()
    assert table in captured.out
    assert re.search(r'\*\*0.3\*\* +\| \*\*31.00 ± 1.41\*\* \| \*\*2\*\* \|', table)
    rows = list(csv.DictReader((tmp_path / 'work' / 'grid.csv').read_text().splitlines()))
    found = [(row['lr'], row['mIoU mean'], row['best']) for row in rows]
    assert found == [('0.1', '11.0', '0'), ('0.3', '31.0', '1')]
    assert (tmp_path / 'work' / 'curves_lr.png').read_bytes().startswith(b'\x89PNG')
    found = record(tmp_path, 'lr=0.3_seed=2')
    config = found['settings'].pop('config')
    assert found['settings'] == {LR: 0.3, 'randomness.seed': 2, '--no-amp': True}
    assert len(config) == 16 and found['validation'] == dict(mIoU=32.0)
    assert not found['resumed'] and found['seconds'] > 0
    log = (tmp_path / 'work' / 'lr=0.3_seed=2' / 'train.log').read_text()
    assert log.startswith('$ ') and f'--no-amp --cfg-options {LR}=0.3 randomness.seed=2' in log


def test_a_failed_trial_is_named_and_resumed_by_the_next_sweep(sweep, tmp_path, capsys):
    args = ('--grid', f'{LR}=0.1,7,0.3')
    assert sweep(*args) == 1
    captured = capsys.readouterr()
    assert started(captured) == ['lr=0.1', 'lr=7', 'lr=0.3']
    log = tmp_path / 'work' / 'lr=7' / 'train.log'
    assert error(captured) == f'1 of 3 trials failed: lr=7: seven is too much ({log})'
    assert re.search(r'\| 7 +\| +- \|', captured.out) and '| **0.3** |' in captured.out
    (tmp_path / 'fixed').touch()
    assert sweep(*args) == 0
    captured = capsys.readouterr()
    assert started(captured) == ['lr=7']
    assert 'started, from its last checkpoint' in captured.out
    assert '--resume' in log.read_text().split('$ ')[2]
    assert record(tmp_path, 'lr=7')['resumed']
    assert sweep(*args) == 0
    assert started(capsys.readouterr()) == []


def test_the_log_of_an_abandoned_run_does_not_count(sweep, tmp_path):
    assert sweep('--grid', f'{LR}=0.1') == 0
    folder = tmp_path / 'work' / 'lr=0.1'
    unfinish(tmp_path, 'lr=0.1')
    (folder / 'last_checkpoint').unlink()
    (log,) = folder.glob('*/vis_data/scalars.json')
    log.write_text(log.read_text().replace('"step": 1', '"step": 99'))
    log.parents[1].rename(folder / '0')
    assert sweep('--grid', f'{LR}=0.1', '--cfg-options', 'randomness.seed=5') == 0
    assert record(tmp_path, 'lr=0.1')['validation'] == dict(mIoU=15.0)


def test_a_config_may_bring_its_grid(sweep, folder, tmp_path, capsys):
    """The command line replaces it; a longer one leaves finished trials as they are."""
    config = tmp_path / 'grid.py'

    def run(grid, *args):
        config.write_text(f"_base_ = '{folder / 'detector.py'}'\nsweep_grid = {grid}\n")
        assert sweep(*args, config=config) == 0
        return started(capsys.readouterr())

    assert run({LR: [0.1, 0.3]}) == ['lr=0.1', 'lr=0.3']
    assert run({LR: [0.1, 0.2, 0.3]}) == ['lr=0.2']
    assert run({LR: [0.1]}, '--grid', f'{LR}=0.4') == ['lr=0.4']
    pairs = [{LR: 0.1, MOMENTUM: 0.5}, {LR: 0.2, MOMENTUM: 0.6}]
    assert run({'pair': pairs}, '--seeds', '1') == ['pair=0.1-0.5_seed=1', 'pair=0.2-0.6_seed=1']
    assert record(tmp_path, 'pair=0.2-0.6_seed=1')['settings'][MOMENTUM] == 0.6


CHANGES = {
    'nothing': None,
    'checkpoint is gone': None,
    'checkpoint': 'SHA-256 of the checkpoint was',
    'lr': f'{LR} was 0.1 and is now 0.2; delete .* to train it anew',
    'flags': "--amp was 'not set' and is now True",
    'config': "config was 'hash' and is now 'other'",
    'file': 'trial.json is damaged or was not written here',
}


@pytest.mark.parametrize('finished', [True, False])
@pytest.mark.parametrize('change', CHANGES)
def test_a_trial_belongs_to_its_settings(change, finished, tmp_path):
    checkpoint = tmp_path / 'mae.pth'
    checkpoint.write_text('weights')
    each = Trial('init=mae', ('mae',), None, {INIT: f'mae={checkpoint}'})

    def training():
        lr = 0.2 if change == 'lr' else 0.1
        flags = ['--amp'] if change == 'flags' else []
        recipe = 'other' if change == 'config' else 'hash'
        return trial.Training('c.py', tmp_path, each, {LR: lr}, flags, recipe)

    record = trial.Training('c.py', tmp_path, each, {LR: 0.1}, [], 'hash')
    content = dict(settings=record.identity, **(dict(training={}) if finished else {}))
    record.folder.mkdir()
    (record.folder / 'last_checkpoint').write_text('epoch_1.pth')
    record.record.write_text('{' if change == 'file' else json.dumps(content))
    if change == 'checkpoint is gone':
        checkpoint.unlink()
    elif change == 'checkpoint':
        checkpoint.write_text('others')
    if CHANGES[change] is None:
        assert training().result == (content if finished else None)
    else:
        with pytest.raises(UserError, match=CHANGES[change]):
            training()


@pytest.mark.parametrize(
    ('jobs', 'environ', 'threads'),
    [(1, {}, None), (2, {}, str(max(os.cpu_count() // 2, 1))), (2, dict(OMP_NUM_THREADS='7'), '7')],
)
def test_trainings_share_the_cores_or_the_gpus(jobs, environ, threads, monkeypatch):
    environment = make_environment(0, jobs, [], dict(environ, HOME='/h'))
    assert environment.get('OMP_NUM_THREADS') == threads and environment['HOME'] == '/h'
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '3,5')
    found = [make_environment(slot, jobs, visible_gpus(), environ) for slot in range(3)]
    assert [each['CUDA_VISIBLE_DEVICES'] for each in found] == ['3', '5', '3']


@pytest.mark.parametrize(('number', 'code'), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_sweep_stops_its_trainings(number, code, sweep, tmp_path):
    def stop():
        wait_for((tmp_path / 'work' / 'lr=9' / 'last_checkpoint').exists)
        os.kill(os.getpid(), number)

    # a shell may have started these tests with the signal ignored, as nohup does
    usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
    before = signal.signal(number, usual)
    threading.Thread(target=stop, daemon=True).start()
    try:
        ended = sweep('--grid', f'{LR}=9')
    except SystemExit as error:
        ended = error.code
    finally:
        left = signal.signal(number, before)
    assert ended == code and left is usual
    with filelock.FileLock(tmp_path / 'work' / 'sweep.lock', timeout=0):
        pass  # which a training that lives on would keep


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_training_of_a_killed_sweep_keeps_the_next_one_out(sweep, folder, tmp_path, capsys):
    code = (
        'import sys; from mmlite.experiments import Sweep, trial; trial.TRAIN = sys.argv[1]; '
        f'Sweep(sys.argv[2], sys.argv[3], grid={{{LR!r}: [9]}}).run()'
    )
    words = [tmp_path / 'stand_in.py', folder / 'detector.py', tmp_path / 'work']
    process = subprocess.Popen([sys.executable, '-c', code, *map(str, words)])
    log = tmp_path / 'work' / 'lr=9' / 'train.log'
    wait_for((log.parent / 'environment.json').exists)
    process.kill()
    process.wait()
    assert sweep('--grid', f'{LR}=0.1') == 2
    assert error(capsys.readouterr()).startswith('another sweep, or a training that it left behind')
    left = subprocess.run(['pgrep', '-f', str(log.parent)], capture_output=True, text=True)
    (pid,) = left.stdout.split()
    os.kill(int(pid), signal.SIGKILL)
    wait_for(lambda: sweep('--grid', f'{LR}=0.1') == 0)


def test_an_unknown_metric_costs_no_training(sweep, capsys):
    args = ('--grid', f'{LR}=0.1,0.3')
    assert sweep(*args, '--metric', 'mIou') == 2
    captured = capsys.readouterr()
    sentence = '--metric mIou was not logged; there are mIoU, loss; near names: mIoU'
    assert error(captured) == sentence and f'; {sentence}' in captured.out
    assert started(captured) == ['lr=0.1', 'lr=0.3']
    assert sweep(*args, '--metric', 'mIou') == 2  # said at once this time
    assert 'finished before' not in capsys.readouterr().out
    assert sweep(*args, '--metric', 'loss') == 0
    captured = capsys.readouterr()
    assert started(captured) == [] and 'bold: lowest loss' in captured.out
    assert re.search(r'\*\*0.3\*\* \| +\*\*3.33\*\* \|', captured.out)


MISTAKES = {
    '--init scratch mae=no.pth': (1, "model.backbone.init_cfg.checkpoint='no.pth' does not exist"),
    '--init scratch --init scratch': (2, 'two trials are called init=scratch'),
    '--init mae --cfg-options model.backbone=None': (2, '--init needs model.backbone, which'),
    '--init mae --cfg-options load_from=x.pth': (2, '--init would have no effect, as the config'),
    '--grid optim_wrapper.optimizer.lrr=1,2': (2, "did you mean 'lr'?"),
    '--seeds 0 --cfg-options randomness.seed=1': (2, 'seed sets randomness.seed, but --cfg-opt'),
    '--seeds 0 --auto-scale-lr': (2, '--auto-scale-lr needs auto_scale_lr=dict(base_batch_size'),
    '--seeds 0 --amp': (2, 'mixed precision, which needs a GPU'),
    '--seeds 0 --work-dir {folder}/detector.py/x': (1, 'detector.py/x cannot be written: Not a'),
}


@pytest.mark.parametrize(('line', 'expected'), MISTAKES.items(), ids=MISTAKES)
def test_a_mistake_is_one_sentence_before_any_training(
    line, expected, sweep, folder, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr('mmlite.engine.checks.devices.get_device', lambda: 'cpu')
    assert sweep(*line.format(folder=folder).split()) == expected[0]
    captured = capsys.readouterr()
    assert expected[1] in error(captured)
    assert captured.out == '' and not (tmp_path / 'work').exists()  # no lock is left behind either


def test_a_real_training_without_its_result_gets_the_same_without_training(sweep, tmp_path):
    options = ('--grid', f'{MOMENTUM}=0.5', '--cfg-options', 'train_cfg.max_epochs=1')
    assert sweep(*options, train=TOOLS / 'train.py') == 0
    first = record(tmp_path, 'momentum=0.5')
    assert first['validation']['coco/bbox_mAP'] >= 0
    assert first['training']['loss'] > 0 and not first['resumed']
    unfinish(tmp_path, 'momentum=0.5')
    assert sweep(*options, train=TOOLS / 'train.py') == 0
    again = record(tmp_path, 'momentum=0.5')
    assert again['resumed']
    assert (again['validation'], again['training']) == (first['validation'], first['training'])
    assert '| **0.5** ' in (tmp_path / 'work' / 'table.md').read_text()
