import csv
import re
import runpy
from pathlib import Path

import numpy as np
import pytest
import trainings
from run_tool import TOOLS, run_tool

from mmlite.analysis.safety import Trainings
from mmlite.errors import NonFiniteError

TOOL = 'analysis_tools/benchmark_safety'
FEW = ['--warmup', 1, '--steps', 2, '--turns', 3, '--rounds', 2, '--samples', 4]


@pytest.mark.parametrize('task', ['detection', 'pretraining'])
def test_two_trainings_take_turns(task, tmp_path, capsys):
    """Twelve steps of each count, in two rounds."""
    config = trainings.write(task, tmp_path)
    assert run_tool(TOOL, config, *FEW, '--csv', tmp_path / 'table.csv') == 0
    assert re.findall(r'round (\d) of 2: ', capsys.readouterr().out) == ['1', '2']
    [row] = csv.DictReader((tmp_path / 'table.csv').open())
    assert row['config'] == config.stem and row['steps'] == '12'
    assert row['rounds'] == '2'
    assert 0 < float(row['seeding_ms']) < float(row['sample_ms']) < float(row['with_ms'])


def test_each_turn_is_compared_with_itself():
    """A machine that is half as fast in one turn, a step that has to wait."""
    slowdown = runpy.run_path(str(TOOLS / f'{TOOL}.py'))['slowdown']
    first = [[[100, 100, 100], [102, 101, 102]], [[200, 200, 900], [208, 208, 208]]]
    second = [[[100, 100, 100], [105, 105, 105]], [[100, 100, 100], [105, 105, 105]]]
    assert slowdown(np.array([first, second])) == (pytest.approx(4), pytest.approx(1))


def test_only_one_of_them_looks_at_the_weights_that_both_train(tmp_path, monkeypatch):
    monkeypatch.setenv('TMPDIR', str(tmp_path))
    config = trainings.write('detection', tmp_path)
    with Trainings(config, {'optim_wrapper.optimizer.lr': 1e30}, warmup=0, steps=2) as both:
        assert len(both.turn(safe=False)) == 2
        with pytest.raises(NonFiniteError, match='stopped at iteration 1: ') as caught:
            both.turn(safe=True)
    folder = Path(re.search(r'replay\.py (.+)$', str(caught.value))[1])
    assert (folder / 'rank0' / 'step.pth').is_file()


def test_a_training_that_fails_ends_the_measurement(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv('TMPDIR', str(tmp_path))
    config = trainings.write('detection', tmp_path)
    options = ['--cfg-options', 'optim_wrapper.optimizer.lr=1e30', '--csv', tmp_path / 'table.csv']
    assert run_tool(TOOL, config, *FEW, *options) == 3
    assert 'error: training stopped at iteration' in capsys.readouterr().err
    assert not (tmp_path / 'table.csv').exists()
