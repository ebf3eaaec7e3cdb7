"""Two processes on the CPU: one that is killed, all that are asked to end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import trainings
from trainings import ROOT, WAIT, assert_same_bits, free_port, last_weights, steps


class Launched:
    """A training of two processes by ``tools/dist_train.sh``."""

    def __init__(self, config, work_dir, *options, restarts=0):
        work_dir.mkdir(exist_ok=True)
        self.log = work_dir / 'output.txt'
        environ = dict(os.environ, PYTHON=sys.executable, PORT=str(free_port()))
        environ['MAX_RESTARTS'] = str(restarts)
        command = ['bash', ROOT / 'tools/dist_train.sh', config, '2', '--work-dir', work_dir]
        command += ['--cfg-options', 'train_cfg.max_epochs=12']  # a step each
        with open(self.log, 'a') as file:
            self.launcher = subprocess.Popen(
                [*map(str, command), *options], stdout=file, stderr=file, env=environ
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

    def end(self, code=0):
        """Wait for its end, and check its exit code."""
        assert self.launcher.wait(WAIT) == code, self.tail()

    def tail(self):
        return self.log.read_text()[-3000:]


@pytest.fixture(scope='module')
def undisturbed(tmp_path_factory):
    """Config and folder of a run that nothing happened to."""
    folder = tmp_path_factory.mktemp('two')
    config = trainings.write('pretraining', folder)
    Launched(config, folder / 'work').end()
    return config, folder / 'work'


def test_a_killed_process_is_replaced_and_training_goes_on_by_itself(undisturbed, tmp_path):
    config, whole = undisturbed
    run = Launched(config, tmp_path, restarts=1)
    run.wait_for(3)
    os.kill(run.second_process(), signal.SIGKILL)
    run.end()
    assert 'resumed epoch' in run.log.read_text()
    assert_same_bits(last_weights(tmp_path), last_weights(whole))


@pytest.mark.fault
@pytest.mark.parametrize('told', ['launcher', 'one process'])
def test_all_processes_stop_after_the_same_step(told, undisturbed, tmp_path):
    config, whole = undisturbed
    run = Launched(config, tmp_path)
    run.wait_for(2)
    os.kill(run.launcher.pid if told == 'launcher' else run.second_process(), signal.SIGTERM)
    run.end(75)
    assert run.log.read_text().count('ended training after step') == 2, run.tail()  # log, stderr
    Launched(config, tmp_path, '--resume').end()
    assert_same_bits(last_weights(tmp_path), last_weights(whole))
