"""Trainings that are killed or stopped at random moments end with the same weights.

One kill a task in every run of the tests; ``--faults`` runs them all.
"""

import random
import signal

import pytest
import trainings
from trainings import assert_same_bits, last_weights, steps, train

from mmlite.errors import Stopped

TASKS = ('detection', 'pretraining', 'tracking')
KILLS = 7  # of each task; the first and every third one aimed at a save
STOPS = [(task, number) for task in TASKS for number in (signal.SIGTERM, signal.SIGINT)]


@pytest.fixture(scope='module')
def undisturbed(tmp_path_factory):
    """Task -> (config, folder of a training that nothing happened to)."""
    done = {}

    def get(task):
        if task not in done:
            folder = tmp_path_factory.mktemp(task)
            config = trainings.write(task, folder)
            train(config, folder / 'undisturbed').end()
            done[task] = config, folder / 'undisturbed'
        return done[task]

    return get


def moment(training, work_dir, number):
    """When to send the signal: after a random save but the last one, or during the next."""
    saves = random.Random(number).randint(1, 4)

    def ready():
        if len(steps(training.text())) < saves:
            return False
        return number % 3 > 0 or any(work_dir.glob('.*.partial'))

    return ready


def first(cases, count):
    """All cases but the first ``count`` are for ``--faults``."""
    return [
        pytest.param(*case, marks=[pytest.mark.fault] * (place >= count))
        for place, case in enumerate(cases)
    ]


@pytest.mark.parametrize(
    'number, task', first([(n, task) for n in range(KILLS) for task in TASKS], len(TASKS))
)
def test_killed(task, number, undisturbed, tmp_path):
    config, whole = undisturbed(task)
    training = train(config, tmp_path)
    assert training.signal_when(signal.SIGKILL, moment(training, tmp_path, number))
    training.end(-signal.SIGKILL)
    train(config, tmp_path, '--resume').end()
    assert_same_bits(last_weights(tmp_path), last_weights(whole))


@pytest.mark.parametrize('task, number', first(STOPS, 1))
def test_asked_to_end(task, number, undisturbed, tmp_path):
    config, whole = undisturbed(task)
    training = train(config, tmp_path)
    assert training.signal_when(number, moment(training, tmp_path, 1))
    training.end(ok=Stopped.exit_code)
    assert f'{number.name} ended training after step' in training.text().splitlines()[-1]
    saved = last_weights(tmp_path)[-1]
    assert f'after step {saved}: ' in training.text()
    train(config, tmp_path, '--resume').end()
    assert_same_bits(last_weights(tmp_path), last_weights(whole))
    assert not list(tmp_path.glob('epoch_*_iter_*.pth'))  # it has made room for later ones


VALIDATION = """
custom_imports = dict(imports=['tiny'])
custom_hooks = [dict(type='mmlite.Pause', point='before_val_iter', file={file!r})]
val_dataloader.update(num_workers=2)
"""


def test_asked_to_end_in_validation(undisturbed, tmp_path):
    config, whole = undisturbed('detection')
    waiting = tmp_path / 'waiting'
    paused = config.with_name('paused.py')
    paused.write_text(config.read_text() + VALIDATION.format(file=str(waiting)))
    training = train(paused, tmp_path)
    assert training.signal_when(signal.SIGTERM, waiting.exists)
    training.end(ok=Stopped.exit_code)
    assert 'SIGTERM ended training after step 6: ' in training.text()
    train(paused, tmp_path, '--resume').end()
    assert_same_bits(last_weights(tmp_path), last_weights(whole))
