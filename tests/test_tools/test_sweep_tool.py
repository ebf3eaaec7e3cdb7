"""The sweep from the command line: with a stand-in that trains in no time, and once for true."""

import csv
import fcntl
import json
import os
import re
import runpy
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest
import tiny

ROOT = Path(__file__).resolve().parents[2]
LR = 'optim_wrapper.optimizer.lr'
MOMENTUM = 'optim_wrapper.optimizer.momentum'

# In place of tools/train.py: logs an mIoU of 100 x lr + seed, and leaves a checkpoint. A rate of 7
# fails after the checkpoint, unless the file ``mended`` is there; a rate of 9 never ends.
STAND_IN = """
import json, os, pathlib, sys, time

work = pathlib.Path(sys.argv[sys.argv.index('--work-dir') + 1])
options = dict(item.split('=', 1) for item in sys.argv if item.startswith(('optim', 'random')))
rate = float(options['optim_wrapper.optimizer.lr'])
(work / 'environment.json').write_text(json.dumps(dict(os.environ, words=sys.argv)))
(work / 'last_checkpoint').write_text('epoch_1.pth')
if rate == 7 and not pathlib.Path(__file__).with_name('mended').exists():
    sys.exit('Traceback\\nValueError: seven is too much')
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
    """A folder with data and config of the small detector."""
    folder = tmp_path_factory.mktemp('sweep')
    tiny.write_detector(folder)
    return folder


@pytest.fixture
def sweep(folder, tmp_path, monkeypatch):
    """Function: run the tool with the stand-in; returns its exit code."""
    stand_in = tmp_path / 'stand_in.py'
    stand_in.write_text(STAND_IN)

    def run(*args, train=stand_in, config=folder / 'detector.py'):
        main = runpy.run_path(str(ROOT / 'tools' / 'sweep.py'))['main']
        monkeypatch.setitem(main.__wrapped__.__globals__, 'TRAIN', train)
        words = [config, '--work-dir', tmp_path / 'work', *args]
        return main([str(word) for word in words])

    return run


def started(captured):
    """Names of the cells that were started, in order."""
    lines = [line.split() for line in captured.out.splitlines()]
    return [words[2] for words in lines if len(words) > 3 and words[3].startswith('started')]


def error(captured):
    """The sentence on stderr."""
    (line,) = captured.err.splitlines()
    return line.removeprefix('error: ')


def result(tmp_path, cell):
    return json.loads((tmp_path / 'work' / cell / 'result.json').read_text())


def test_a_grid_is_trained_and_tabulated(sweep, tmp_path, capsys):
    assert sweep('--grid', f'{LR}=0.1,0.3', '--seeds', 0, 2, '--no-amp') == 0
    captured = capsys.readouterr()
    assert started(captured) == [f'lr={lr}_seed={seed}' for lr in ('0.1', '0.3') for seed in (0, 2)]
    assert re.search(r'\[4/4\] lr=0.3_seed=2 finished in \d+ s: mIoU 32\n', captured.out)
    assert re.search(r'about \d+ s left\n', captured.out)
    table = (tmp_path / 'work' / 'table.md').read_text()
    assert '| **0.3** | **31.00 ± 1.41** | **2** | **30.00** | **32.00** |' in table
    assert table in captured.out
    rows = list(csv.DictReader((tmp_path / 'work' / 'grid.csv').read_text().splitlines()))
    assert [(row['lr'], row['mIoU mean'], row['best']) for row in rows] == [
        ('0.1', '11.0', '0'),
        ('0.3', '31.0', '1'),
    ]
    found = result(tmp_path, 'lr=0.3_seed=2')
    assert found['options'] == {LR: 0.3, 'randomness.seed': 2, '--no-amp': True}
    assert found['validation'] == dict(mIoU=dict(final=32.0, min=32.0, max=32.0))
    assert not found['resumed'] and found['seconds'] > 0
    log = (tmp_path / 'work' / 'lr=0.3_seed=2' / 'train.log').read_text()
    assert log.startswith('$ ') and f'--no-amp --cfg-options {LR}=0.3 randomness.seed=2' in log


def test_what_failed_is_named_and_goes_on_when_the_sweep_does(sweep, tmp_path, capsys):
    args = ('--grid', f'{LR}=0.1,7,0.3')
    assert sweep(*args) == 1
    captured = capsys.readouterr()
    assert started(captured) == ['lr=0.1', 'lr=7', 'lr=0.3']
    log = tmp_path / 'work' / 'lr=7' / 'train.log'
    reason = 'lr=7: ValueError: seven is too much'
    assert error(captured) == f'1 of 3 cells failed: {reason} ({log})'
    assert '| 7 | - |' in captured.out and '| **0.3** |' in captured.out
    (tmp_path / 'mended').touch()
    assert sweep(*args) == 0
    captured = capsys.readouterr()
    assert started(captured) == ['lr=7']
    assert 'started, from its last checkpoint' in captured.out
    assert '--resume' in log.read_text().split('$ ')[2]
    assert result(tmp_path, 'lr=7')['resumed']
    assert sweep(*args) == 0
    assert started(capsys.readouterr()) == []


def test_the_log_of_an_abandoned_start_does_not_count(sweep, tmp_path):
    assert sweep('--grid', f'{LR}=0.1') == 0
    cell = tmp_path / 'work' / 'lr=0.1'
    (cell / 'result.json').unlink()
    (cell / 'last_checkpoint').unlink()
    (log,) = cell.glob('*/vis_data/scalars.json')
    log.write_text(log.read_text().replace('"step": 1', '"step": 99'))
    log.parents[1].rename(cell / '0')
    assert sweep('--grid', f'{LR}=0.1', '--cfg-options', 'randomness.seed=5') == 0
    assert result(tmp_path, 'lr=0.1')['validation']['mIoU'] == dict(final=15.0, min=15.0, max=15.0)


def test_a_config_may_bring_its_grid(sweep, folder, tmp_path, capsys):
    """The command line replaces it; a longer one leaves finished cells as they are."""
    config = tmp_path / 'grid.py'

    def run(rates, *args):
        text = f"_base_ = '{folder / 'detector.py'}'\nsweep_grid = ['{LR}={rates}']\n"
        config.write_text(text)
        assert sweep(*args, config=config) == 0
        return started(capsys.readouterr())

    assert run('0.1,0.3') == ['lr=0.1', 'lr=0.3']
    assert run('0.1,0.2,0.3') == ['lr=0.2']
    assert run('0.1', '--grid', f'{LR}=0.4') == ['lr=0.4']
    assert run('0.1,0.2', '--seeds', '1') == ['lr=0.1_seed=1', 'lr=0.2_seed=1']


def test_an_interrupted_sweep_whose_config_changed_does_not_go_on(sweep, folder, tmp_path, capsys):
    config = tmp_path / 'changing.py'
    text = (
        f"_base_ = '{folder / 'detector.py'}'\noptim_wrapper = dict(optimizer=dict(momentum={{}}))"
    )
    config.write_text(text.format(0.9))
    assert sweep('--grid', f'{LR}=0.1,7,0.3', config=config) == 1
    config.write_text(text.format(0.8))
    capsys.readouterr()
    assert sweep('--grid', f'{LR}=7,0.2', config=config) == 2
    captured = capsys.readouterr()
    file = tmp_path / 'work' / 'lr=7' / 'cell.json'
    sentence = f'{file}: the config or one of its bases has changed since; delete {file.parent} to'
    assert error(captured).startswith(sentence)
    assert started(captured) == []


@pytest.mark.parametrize('finished', [True, False])
def test_another_cell_of_the_same_name_is_not_reused(finished, sweep, tmp_path, capsys):
    assert sweep('--grid', f'{LR}=0.1') == 0
    cell = tmp_path / 'work' / 'lr=0.1'
    if not finished:
        (cell / 'result.json').unlink()
    capsys.readouterr()
    assert sweep('--grid', f'{LR}=0.1,0.2', '--cfg-options', 'randomness.seed=5') == 2
    captured = capsys.readouterr()
    file = cell / ('result.json' if finished else 'cell.json')
    assert error(captured).startswith(f'{file}: randomness.seed was not set and is now 5; delete')
    assert started(captured) == []


def test_trainings_run_side_by_side(sweep, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr('torch.cuda.device_count', lambda: 2)
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '3,5')
    assert sweep('--grid', f'{LR}=0.1,0.2,0.3') == 0
    output = capsys.readouterr().out
    assert '3 cells, 0 finished before, 2 at a time' in output
    assert 'lr=0.1 started on GPU 3' in output and 'lr=0.2 started on GPU 5' in output
    for cell, gpu in {'lr=0.1': '3', 'lr=0.2': '5'}.items():
        environment = json.loads((tmp_path / 'work' / cell / 'environment.json').read_text())
        assert environment['CUDA_VISIBLE_DEVICES'] == gpu


@pytest.mark.parametrize(
    ('number', 'code'), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
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
    assert ended == code
    assert not locked(tmp_path / 'work')  # which a training that lives on would keep
    assert left is usual


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def locked(work_dir):
    with (work_dir / 'sweep.lock').open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_two_sweeps_do_not_share_a_folder(sweep, tmp_path, capsys):
    (tmp_path / 'work').mkdir()
    with (tmp_path / 'work' / 'sweep.lock').open('w') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert sweep('--grid', f'{LR}=0.1') == 2
    assert error(capsys.readouterr()).startswith('another sweep, or a training that one left beh')


def test_an_unknown_metric_is_told_but_costs_no_training(sweep, tmp_path, capsys):
    args = ('--grid', f'{LR}=0.1,0.3')
    assert sweep(*args, '--metric', 'mIou') == 2
    captured = capsys.readouterr()
    sentence = '--metric mIou was not logged; near names: mIoU; there are mIoU, loss'
    assert error(captured) == sentence
    assert f' s; {sentence}' in captured.out
    assert started(captured) == ['lr=0.1', 'lr=0.3']
    assert sweep(*args, '--metric', 'mIou') == 2  # said at once this time
    assert 'finished before' not in capsys.readouterr().out
    assert sweep(*args, '--metric', 'loss') == 0
    output = capsys.readouterr().out
    assert started(capsys.readouterr()) == [] and 'bold: lowest loss' in output
    assert '| **0.3** | **3.33** |' in output


MISTAKES = {
    '': (2, 'nothing to sweep: give --init, --seeds or --grid'),
    '--init scratch mae=no.pth': (1, "model.backbone.init_cfg.checkpoint='no.pth' does not exist"),
    '--init a a': (2, 'axis init has a twice'),
    '--init a --cfg-options model.backbone=None': (2, '--init needs model.backbone, which'),
    '--init a --cfg-options load_from=x.pth': (2, '--init would have no effect, as the config'),
    '--grid optim_wrapper.optimizer.lrr=1,2': (2, "did you mean 'lr'?"),
    '--grid optim_wrapperr.optimizer.lr=1': (2, 'near names: optim_wrapper'),
    '--grid param_scheduler.4.gamma=1': (2, '--cfg-options param_scheduler.4.gamma=1 does not fit'),
    '--grid pipeline=1,2': (2, 'pipeline is a variable of the config'),
    '--seeds 0 --cfg-options randomness.seed=1': (2, 'seed sets randomness.seed, but --cfg-opt'),
    '--seeds 0 --cfg-options train_cfg': (2, "option 'train_cfg' is not of the form key=value"),
    '--seeds 0 --auto-scale-lr': (2, '--auto-scale-lr needs auto_scale_lr=dict(base_batch_size'),
    '--seeds 0 --amp': (2, 'mixed precision, which needs a GPU'),
    '--seeds 0 --work-dir {folder}/detector.py/x': (2, 'detector.py/x cannot be written: Not a'),
}


@pytest.mark.parametrize(('line', 'wanted'), MISTAKES.items(), ids=MISTAKES)
def test_a_mistake_is_one_sentence_before_any_training(
    line, wanted, sweep, folder, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr('mmlite.engine.checks.devices.get_device', lambda: 'cpu')
    assert sweep(*line.format(folder=folder).split()) == wanted[0]
    captured = capsys.readouterr()
    assert wanted[1] in error(captured)
    assert captured.out == '' and not list(tmp_path.glob('work/*/train.log'))


def test_true_trainings_end_fail_and_resume(folder, sweep, tmp_path, capsys):
    """A cell that lost its result after its last epoch gets the same one without training."""
    train = ROOT / 'tools' / 'train.py'
    args = ['--grid', f'{MOMENTUM}=0.5,-1', '--jobs', 2, '--cfg-options', 'train_cfg.max_epochs=1']
    assert sweep(*args, train=train) == 1
    reason = 'momentum=-1: ValueError: Invalid momentum value: -1'
    assert reason in error(capsys.readouterr())
    first = result(tmp_path, 'momentum=0.5')
    assert first['validation']['coco/bbox_mAP']['final'] >= 0
    assert first['training']['loss']['final'] > 0 and not first['resumed']
    (tmp_path / 'work' / 'momentum=0.5' / 'result.json').unlink()
    shutil.rmtree(tmp_path / 'work' / 'momentum=-1')
    args[1] = f'{MOMENTUM}=0.5'
    assert sweep(*args, train=train) == 0
    again = result(tmp_path, 'momentum=0.5')
    assert again['resumed']
    assert (again['validation'], again['training']) == (first['validation'], first['training'])
    assert '| **0.5** |' in (tmp_path / 'work' / 'table.md').read_text()
