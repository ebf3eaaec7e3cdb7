"""score_tracker.py on generated LaSOT and GOT-10k sequences, from the command line."""

import csv
import itertools
import shutil
import zipfile

import numpy as np
import pytest
from run_tool import run_tool

from mmlite.datasets.shapes import Job, generate, task_spec
from mmlite.datasets.sot import GOT10kDataset, LaSOTDataset
from mmlite.evaluation.sot.results import Track, write_track


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Folder with ``lasot`` and ``got10k``, four sequences of twelve frames to evaluate each."""
    root = tmp_path_factory.mktemp('data')
    for task, name in (('sot', 'lasot'), ('got', 'got10k')):
        spec = task_spec(task, size=64, classes=2, min_size=0.25, frames=12)
        generate(Job(task, root / name, spec, seed=0, train=1, val=4))
    return root


@pytest.fixture(scope='module')
def results(data, tmp_path_factory):
    """Folders ``near``, a few pixels off, and ``far``, which stays where it began."""
    root = tmp_path_factory.mktemp('results')
    rng = np.random.default_rng(0)
    datasets = {
        'lasot': LaSOTDataset(data / 'lasot', 'test'),
        'val': GOT10kDataset(data / 'got10k', 'val'),
        'test': GOT10kDataset(data / 'got10k', 'test'),
    }
    for name, dataset in datasets.items():
        for sequence in dataset:
            boxes = np.repeat(sequence.boxes[:1], len(sequence), 0)
            seconds = np.full(len(sequence), 0.01)
            write_track(root / name / 'far', Track(sequence.name, boxes, seconds))
            if sequence.annotated:
                boxes = np.where(sequence.visible[:, None], sequence.boxes, boxes)
            boxes = boxes + rng.normal(0, 1, boxes.shape)
            write_track(root / name / 'near', Track(sequence.name, boxes, seconds))
    return root


def lasot(data, *args, dataset='lasot'):
    """Run the tool in this process; returns its exit code."""
    options = ('--dataset', dataset, '--data-root', data / dataset)
    return run_tool('analysis_tools/score_tracker', *options, *args)


def got10k(data, *args):
    return lasot(data, *args, dataset='got10k')


def table(text):
    """Rows of the summary: tracker -> cells."""
    lines = [line.split() for line in text.splitlines()]
    start = next(i for i, cells in enumerate(lines) if cells[:1] == ['tracker'])
    header = lines[start]
    rows = itertools.takewhile(lambda cells: len(cells) == len(header), lines[start + 2 :])
    return {cells[0]: dict(zip(header, cells, strict=True)) for cells in rows}


def test_trackers_are_compared_on_lasot(data, results, tmp_path, capsys):
    folders = [results / 'lasot' / name for name in ('far', 'near')]
    assert lasot(data, *folders, '--perfect', '--motionless', '--out', tmp_path) == 0
    output = capsys.readouterr().out
    rows = table(output)
    assert float(rows.pop('motionless')['AUC']) < float(rows['perfect']['AUC']) - 10
    assert list(rows) == ['perfect', 'near', 'far']  # the best first
    assert float(rows['near']['AUC']) > float(rows['far']['AUC']) + 10
    visible = np.mean([s.visible.mean() for s in LaSOTDataset(data / 'lasot', 'test')])
    assert rows['perfect']['AUC'] == f'{visible * 2000 / 21:.2f}'
    assert rows['perfect']['P'] == rows['perfect']['P_norm'] == f'{100 * visible:.2f}'
    assert (rows['near']['FPS'], rows['near']['sequences'], rows['near']['failed']) == (
        '100.0', '4', '0',
    )  # fmt: skip
    assert 'lasot (test), protocol lasot' in output
    with (tmp_path / 'sequences.csv').open(newline='') as file:
        each = [float(r['AUC']) for r in csv.DictReader(file) if r['tracker'] == 'near']
    assert f'{np.mean(each):.2f}' == rows['near']['AUC']


def test_missing_and_bad_files_are_named_and_fail_the_comparison(data, results, tmp_path, capsys):
    names = LaSOTDataset(data / 'lasot', 'test').names
    near, partial = results / 'lasot' / 'near', tmp_path / 'partial'
    partial.mkdir()
    for name in names[1:]:
        lines = (near / f'{name}.txt').read_text().splitlines()
        kept = lines[:7] if name == names[3] else lines + lines[-1:]
        (partial / f'{name}.txt').write_text('\n'.join(kept))
    options = ('--no-plots', '--out', tmp_path / 'out')
    assert lasot(data, near, partial, *options) == 1
    streams = capsys.readouterr()
    assert f'partial lacks 2 of 4 sequences ({names[0]}, {names[3]})' in streams.err
    assert f'{names[3]}.txt has 7 boxes, but sequence {names[3]} has 12 frames' in streams.err
    assert f'{names[1]}.txt has 13 boxes' in streams.out  # cut, like those of monkey-17
    assert 'tracker ' not in streams.out and not (tmp_path / 'out').exists()

    assert lasot(data, near, partial, *options, '--available') == 0
    output = capsys.readouterr().out
    assert 'scored are the 2 sequences that every tracker has' in output
    rows = table(output)
    assert rows['partial']['AUC'] == rows['near']['AUC']
    assert (rows['partial']['failed'], rows['near']['failed']) == ('2', '0')
    assert {row['sequences'] for row in rows.values()} == {'2'}


def test_attributes_get_a_table(data, results, tmp_path, capsys):
    names = LaSOTDataset(data / 'lasot', 'test').names
    flags = tmp_path / 'att'
    flags.mkdir()
    for place, name in enumerate(names):
        (flags / f'{name}.txt').write_text(f'1,{place % 2}\n')
    near = results / 'lasot' / 'near'
    options = ('--no-plots', '--out', tmp_path, '--attributes', flags)
    assert lasot(data, near, *options, '--attribute-names', 'IV', 'FM') == 0
    output = capsys.readouterr().out
    lines = {line.split()[0]: line.split()[1:] for line in output.splitlines() if line}
    assert lines['IV'] == ['4', table(output)['near']['AUC']]
    assert lines['FM'][0] == '2'
    with (tmp_path / 'groups.csv').open(newline='') as file:
        assert [row['group'] for row in csv.DictReader(file)][-2:] == ['IV', 'FM']
    assert lasot(data, near, *options) == 1
    assert 'must have 14 values 0 or 1' in capsys.readouterr().err


def test_the_test_split_of_got10k_gives_an_archive(data, results, tmp_path):
    folder = results / 'test' / 'near'
    assert got10k(data, folder, '--split', 'test', '--out', tmp_path) == 0
    with zipfile.ZipFile(tmp_path / 'near_got10k_submission.zip') as archive:
        archive.extractall(tmp_path / 'server')
    name = 'GOT-10k_Test_000001'
    np.testing.assert_allclose(
        np.loadtxt(tmp_path / 'server' / name / f'{name}_001.txt', delimiter=','),
        np.loadtxt(folder / f'{name}.txt', delimiter=','),
        atol=6e-4,
    )


def test_equal_folder_names_are_told_apart(data, results, tmp_path, capsys):
    near, copy = results / 'lasot' / 'near', tmp_path / 'other' / 'near'
    shutil.copytree(near, copy)
    assert lasot(data, near, copy, '--no-plots', '--out', tmp_path) == 0
    assert set(table(capsys.readouterr().out)) == {'lasot/near', 'other/near'}
    assert lasot(data, near, copy, '--names', 'a', '--no-plots', '--out', tmp_path) == 2
    assert 'need as many different --names' in capsys.readouterr().err


@pytest.mark.parametrize(('options', 'message'), [
    (('--split', 'val'), "split 'val' is unknown: choose from ('train', 'test', 'all')"),
    (('--data-options', 'chunks=[1]'), 'data set lasot has no option chunks'),
    (('--names', 'perfect', '--perfect'), "'perfect' is a reference"),
])  # fmt: skip
def test_wrong_options_are_one_sentence(options, message, data, results, tmp_path, capsys):
    assert lasot(data, results / 'lasot' / 'near', '--out', tmp_path, *options) == 2
    assert message in capsys.readouterr().err
