"""Two processes on the CPU: one that is killed, all that are asked to end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import trainings
from trainings import ROOT, WAIT, assert_same_bits, free_port, last_weights, steps, train

PAUSE = """
custom_imports = dict(imports=['tiny'])
custom_hooks = [
    dict(type='mmlite.Pause', point={point!r}, file={folder!r} + '/paused', rank=1, seconds=2),
    dict(type='mmlite.Pause', point='exit', file={folder!r} + '/ending', rank=1, seconds=1),
]
"""
SRUN = """#!{python}
import os, signal, subprocess, sys
options = sys.argv[1 : sys.argv.index('-u') - 1]
command = ['pytorch' if arg == 'slurm' else arg for arg in sys.argv[len(options) + 1 :]]
signal.signal(signal.SIGTERM, signal.SIG_IGN)
reset = lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL)
tasks = [subprocess.Popen(command, env=dict(os.environ, RANK=str(rank), LOCAL_RANK=str(rank),
         WORLD_SIZE='2', MASTER_ADDR='127.0.0.1', MASTER_PORT={port!r}), preexec_fn=reset)
         for rank in range(2)]
code = tasks[0].wait()
if code and '--kill-on-bad-exit=1' in options:
    tasks[1].terminate()
code = max(c if c >= 0 else 128 - c for c in (code, tasks[1].wait()))
sys.exit(code)
"""
"""Stands in for Slurm: two tasks, all of which are ended when the first one fails, as asked."""


class Launched:
    """A training of two processes by ``tools/dist_train.sh``, or another command.

    Its processes are a group of their own, which a test can signal.
    """

    def __init__(self, config, work_dir, restarts=0, command=None, **environ):
        work_dir.mkdir(exist_ok=True)
        self.log = work_dir / 'output.txt'
        environ = dict(os.environ, PYTHON=sys.executable, PORT=str(free_port()), **environ)
        environ['MAX_RESTARTS'] = str(restarts)
        environ['PYTHONPATH'] = f'{environ["PYTHONPATH"]}:{ROOT / "tests"}'
        command = command or ['bash', ROOT / 'tools/dist_train.sh', config, '2']
        command = [*map(str, command), '--work-dir', str(work_dir)]
        with open(self.log, 'a') as file:
            self.launcher = subprocess.Popen(
                command, stdout=file, stderr=file, env=environ, start_new_session=True
            )

    def wait_for(self, saves):
        """Wait until so many checkpoints are announced."""
        end = time.monotonic() + WAIT
        while len(steps(self.log.read_text())) < saves:
            assert self.launcher.poll() is None and time.monotonic() < end, self.tail()
            time.sleep(0.01)

    def second_process(self):
        """Process number of the training process of rank 1."""
        of = Path('/proc', str(self.launcher.pid))
        children = (of / 'task' / of.name / 'children').read_text().split()
        environs = {int(child): Path('/proc', child, 'environ').read_bytes() for child in children}
        return next(pid for pid, text in environs.items() if b'\0RANK=1\0' in text)

    def ask(self, whom):
        """Send SIGTERM to the ``'group'``, the ``'launcher'`` or ``'one process'``."""
        if whom == 'group':
            os.killpg(self.launcher.pid, signal.SIGTERM)
        else:
            process = self.launcher.pid if whom == 'launcher' else self.second_process()
            os.kill(process, signal.SIGTERM)

    def end(self, code=0):
        """Wait for its end, and check its exit code."""
        assert self.launcher.wait(WAIT) == code, self.tail()

    def tail(self):
        return self.log.read_text()[-3000:]


@pytest.fixture(scope='module')
def undisturbed(tmp_path_factory):
    """Config and folder of a run that nothing happened to; an epoch is a step."""
    folder = tmp_path_factory.mktemp('two')
    config = trainings.write('pretraining', folder)
    longer = "train_dataloader['num_workers'] = 1\ntrain_cfg['max_epochs'] = 10\n"
    config.write_text(config.read_text() + longer)
    train(config, folder / 'work', world=2).end()
    return config, folder / 'work'


def paused(config, folder, point, extra=''):
    """The config with a pause of rank 1 at a point, and one at its end."""
    made = folder / 'paused.py'
    pauses = PAUSE.format(point=point, folder=str(folder))
    made.write_text(config.read_text() + pauses + extra)
    return made


def test_a_killed_process_is_replaced_and_training_continues_by_itself(undisturbed, tmp_path):
    config, whole = undisturbed
    run = Launched(config, tmp_path, restarts=1)
    run.wait_for(3)
    os.kill(run.second_process(), signal.SIGKILL)
    run.end()
    assert 'resumed epoch' in run.log.read_text()
    assert_same_bits(last_weights(tmp_path), last_weights(whole))


RARE = [pytest.param(whom, marks=pytest.mark.fault) for whom in ('launcher', 'one process')]


@pytest.mark.parametrize('whom', ['group', *RARE])
def test_all_processes_stop_after_the_same_step(whom, undisturbed, tmp_path):
    config, whole = undisturbed
    run = Launched(paused(config, tmp_path, 'before_save_checkpoint'), tmp_path)
    run.wait_for(2)
    run.ask(whom)
    run.end(75)
    assert run.log.read_text().count('ended training after step') == 2, run.tail()  # log, stderr
    train(config, tmp_path, '--resume', world=2).end()
    assert_same_bits(last_weights(tmp_path), last_weights(whole))


def test_all_processes_stop_in_validation(tmp_path):
    config = paused(trainings.write('detection', tmp_path), tmp_path, 'before_val_iter')
    run = train(config, tmp_path / 'work', world=2)
    assert run.signal_when(signal.SIGTERM, (tmp_path / 'paused').exists, rank=1)
    run.end(75)
    text = run.text()
    assert 'another process ended training after step 6: ' in text and 'Traceback' not in text
    assert last_weights(tmp_path / 'work')[-1] == 6


def test_without_a_checkpoint_the_exit_code_is_not_75(undisturbed, tmp_path):
    unsaved = "default_hooks['checkpoint'] = None\n"
    config = paused(undisturbed[0], tmp_path, 'after_train_iter', unsaved)
    run = train(config, tmp_path, world=2)
    assert run.signal_when(signal.SIGTERM, (tmp_path / 'paused').exists)
    run.end(128 + signal.SIGTERM)
    assert 'SIGTERM ended training after step' in run.text()
    assert 'nothing is saved' in run.text()


def test_a_slurm_job_is_queued_again_though_a_process_is_slow(undisturbed, tmp_path):
    config, _ = undisturbed
    for name, text in (
        ('srun', SRUN.format(python=sys.executable, port=str(free_port()))),
        ('scontrol', '#!/bin/sh\necho "scontrol $@"\n'),
    ):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    slow = paused(config, tmp_path, 'before_save_checkpoint')
    command = ['bash', ROOT / 'tools/slurm_batch.sh', slow]
    path = f'{tmp_path}:{os.environ["PATH"]}'
    environ = dict(PATH=path, SLURM_JOB_ID='7', SLURM_SUBMIT_DIR=str(ROOT))
    run = Launched(slow, tmp_path / 'work', command=command, **environ)
    run.wait_for(2)
    run.ask('group')
    run.end(75)
    assert run.log.read_text().splitlines()[-1] == 'scontrol requeue 7'
