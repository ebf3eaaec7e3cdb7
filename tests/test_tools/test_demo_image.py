"""The demo for images as a command: what it prints, and its exit codes."""

import json
from pathlib import Path

import cv2
import pytest
import tiny_tasks
import tiny_tracker
from run_tool import run_tool


@pytest.fixture(scope='module')
def case(tmp_path_factory):
    return tiny_tasks.write('det', tmp_path_factory.mktemp('det'))


def run(case, *args):
    return run_tool('demo/image', case.config, case.weights, *args)


def test_a_line_for_each_image(case, tmp_path, capsys):
    files, out = case.files()[:2], tmp_path / 'out'
    args = (*files, '--score-threshold', 0.01, '--out', out, '--batch-size', 2, '--device', 'cpu')
    assert run(case, *args) == 0
    captured = capsys.readouterr()
    first, second, last = captured.out.strip().splitlines()[-3:]
    names = case.dataset().metainfo['classes']
    for line, file in zip((first, second), files, strict=True):
        assert line.startswith(f'{Path(file).name}: ')
        assert any(name.upper() in line for name in names)
    assert last == f'3 files, see {out / "predictions.json"}'
    assert '2/2 images' in captured.err
    assert len(json.loads((out / 'predictions.json').read_text())['images']) == 2


def test_the_exit_code_tells(case, tmp_path, capsys):
    folder, _ = tiny_tasks.write_torn(tmp_path / 'torn', case.files()[:3])
    out = ('--out', tmp_path / 'out')
    assert run(case, folder, *out) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith('error: 1 of 4 images could not be used; the first: image ')
    assert cv2.imread(str(tmp_path / 'out' / 'd.jpg')) is not None
    assert run(case, folder, *out, '--on-unreadable', 'stop') == 1
    assert 'inference stopped there' in capsys.readouterr().err
    assert run(case, case.files()[0], *out, '--top-k', 1) == 2
    assert "has no option '" in capsys.readouterr().err


def test_trackers_have_a_demo_of_their_own(tmp_path, capsys):
    config, weights = tiny_tracker.write_config(tmp_path, tmp_path)
    assert run_tool('demo/image', config, weights, tmp_path) == 2
    assert 'is for tracking: give it to tools/demo/track.py' in capsys.readouterr().err
