"""Speed table of a tracker: what is run, timed, compared and written."""

import csv
import runpy
import time
from pathlib import Path

import numpy as np
import pytest
import tiny_tracker
import torch

from mmlite.apis import SOTInferencer
from mmlite.apis.sot_inferencer import load_network

ROOT = Path(__file__).resolve().parents[2]
TOOL = runpy.run_path(str(ROOT / 'tools' / 'analysis_tools' / 'benchmark_tracker.py'))
main, follow, make_frames = (TOOL[name] for name in ('main', 'follow', 'make_frames'))
CPU = torch.device('cpu')
CE = dict(type='mmlite.CandidateElimination', blocks=(0,), keep_ratio=0.5)


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp('tracker')
    model = tiny_tracker.OSTRACK | dict(elimination=CE)
    return [str(file) for file in tiny_tracker.write_config(folder, folder, model=model)]


def rows(path):
    with path.open(newline='') as file:
        return list(csv.DictReader(file))


def test_table(files, tmp_path, capsys):
    path = tmp_path / 'table.csv'
    names = ['torch', 'torch-fused', 'onnxruntime', 'openvino']
    options = ['--frames', '12', '--warmup', '2', '--csv', str(path), '--variants', *names]
    assert main([*files, *options]) == 0
    out = capsys.readouterr().out
    assert all(f'\n{name} ' in out for name in names) and '12 frames' in out
    table = rows(path)
    assert [row['variant'] for row in table] == names
    for row in table:
        assert (row['weights'], row['precision'], row['frames']) == ('trained', 'fp32', '12')
        assert row['threads'] == str(torch.get_num_threads())
        network, track = (
            [float(row[f'{what}_ms_{kind}']) for kind in ('median', 'p95')]
            for what in ('network', 'track')
        )
        assert 0 < network[0] <= network[1] and 0 < track[0] <= track[1]
        assert network[0] < track[0]
        assert float(row['track_over_network']) == pytest.approx(track[0] / network[0], rel=0.02)
        assert float(row['largest_box_difference_px']) < 0.1
    assert float(table[0]['largest_box_difference_px']) == 0
    assert table[0]['version'] == torch.__version__.split('+')[0]


def test_low_precision(files, tmp_path, capsys):
    """Random weights: boxes are told, but only those of fp32 must agree."""
    path = tmp_path / 'table.csv'
    names = ['torch-fused-bf16', 'onnxruntime-int8']
    options = ['--frames', '12', '--warmup', '0', '--csv', str(path), '--variants', *names]
    assert main([files[0], *options]) == 0
    assert [(row['weights'], row['precision']) for row in rows(path)] == [
        ('random', 'bf16'),
        ('random', 'int8'),
    ]
    assert all(float(row['largest_box_difference_px']) > 0 for row in rows(path))


def test_time_is_that_of_the_network_and_of_the_call(files):
    network = load_network(*files, 'cpu')
    locate = network.locate
    calls = []

    def slow(*args):
        calls.append(args)
        time.sleep(0.02 if len(calls) > 3 else 0.2)  # three to warm up
        return locate(*args)

    network.locate = slow
    frames, box = make_frames(6)
    boxes, seconds, whole = follow(network, frames, box, 3, CPU)
    assert network.locate is slow  # no longer the timed one
    assert boxes.shape == (5, 4) and len(calls) == 8
    assert ((seconds >= 20) & (seconds < 100)).all() and (whole > seconds).all()
    network.locate = locate
    tracker = SOTInferencer(network)
    tracker.init(frames[0], box)
    assert np.array_equal(boxes, [tracker.track(frame)[0] for frame in frames[1:]])


def test_other_boxes_are_an_error(files, capsys, monkeypatch):
    def shifted(model, files):
        fused = TOOL['torch_fused'](model, files)
        locate = fused.locate
        fused.locate = lambda *args: locate(*args) + 0.05
        return fused

    monkeypatch.setitem(TOOL['VARIANTS'], 'torch-fused', (shifted, {}, 'fp32'))
    options = ['--frames', '12', '--variants', 'torch', 'torch-fused', '--warmup', '0']
    assert main([*files, *options]) == 1
    message = 'boxes of torch-fused differ by more than 0.5 px from those of torch in fp32'
    assert message in capsys.readouterr().err


def test_default_is_what_is_installed(monkeypatch):
    chosen, there = TOOL['chosen_variants'], {'torch', 'onnx', 'openvino'}
    monkeypatch.setitem(chosen.__globals__, 'find_spec', lambda name: name in there or None)
    names = chosen(None, 'cpu')
    assert 'torch-compiled' in names and 'openvino-bf16' in names
    assert not any(name.startswith('onnxruntime') for name in names)
    there.discard('onnx')  # nothing can be exported
    assert all(name.startswith('torch') for name in chosen(None, 'cpu'))


@pytest.mark.parametrize(
    'options, message',
    [
        (['--frames', '0'], '--frames is 0; give 1 or more'),
        (['--warmup', '-1'], '--warmup is -1; give 0 or more'),
        (['--threads', '0'], '--threads is 0; give 1 or more'),
    ],
)
def test_wrong_options(options, message, files, capsys):
    assert main([*files, *options]) == 2
    assert message in capsys.readouterr().err
