"""SOTMetric: the numbers of one process, of two, and of sequences that fail."""

import csv
import json
import zipfile

import cv2
import numpy as np
import pytest
from mmengine.evaluator import Evaluator
from mmengine.logging import MMLogger

from mmlite.datasets.sot.sequence import Sequence
from mmlite.errors import ArgumentError, DataError, UserError
from mmlite.evaluation.sot import metric
from mmlite.evaluation.sot.ope import mean_curves, measure
from mmlite.evaluation.sot.protocols import LASOT
from mmlite.evaluation.sot.results import Track

NAMES = [f'{label}-{number}' for label in ('cat', 'dog') for number in (1, 2, 3)]


class BlankFrames(list):
    """Frames of one size, without disk."""

    def read(self, index):
        return np.zeros((120, 160, 3), np.uint8)


def make(name, annotated=True, dataset='lasot'):
    """A sequence and a track of it that depend on the name only."""
    rng = np.random.default_rng(list(name.encode()))
    frames = int(rng.integers(20, 40))
    boxes = np.hstack([rng.uniform(5, 80, (frames, 2)), rng.uniform(20, 60, (frames, 2))])
    visible = rng.uniform(size=frames) > 0.1
    cover = np.where(visible, 8, 0) if dataset == 'got10k' else None
    track = Track(name, boxes + rng.normal(0, 4, boxes.shape), np.full(frames, 0.02))
    kept = slice(None) if annotated else slice(1)
    sequence = Sequence(
        name, dataset, BlankFrames(range(frames)), boxes[kept], visible[kept],
        None if cover is None else cover[kept],
    )  # fmt: skip
    return sequence, track


def make_evaluator(out_dir, dataset='lasot', names=NAMES, usual=None, **kwargs):
    """An evaluator of a data set of ``names`` whose papers use the protocol ``usual``."""
    config = dict(type='mmlite.SOTMetric', plots=False, **kwargs)
    evaluator = Evaluator([dict(config, out_dir=str(out_dir)) if out_dir else config])
    evaluator.dataset_meta = dict(dataset=dataset, protocol=usual or dataset, names=names)
    return evaluator


def feed(evaluator, names, annotated=True, dataset='lasot'):
    for name in names:
        sequence, track = make(name, annotated, dataset)
        evaluator.process(data_batch=[sequence], data_samples=[track])
    return list(evaluator.metrics[0].results)


def table(file):
    with file.open(newline='') as stream:
        return list(csv.DictReader(stream))


def run(out_dir, names=NAMES, **kwargs):
    evaluator = make_evaluator(out_dir, **kwargs)
    feed(evaluator, names)
    return evaluator.evaluate(len(NAMES))


def test_metrics_are_the_means_over_sequences(tmp_path):
    evaluator = make_evaluator(tmp_path)
    scores = feed(evaluator, NAMES)
    got = evaluator.evaluate(6)
    want = measure(mean_curves(scores, LASOT), LASOT)
    assert got == pytest.approx({f'sot/{k}': v for k, v in want.items()} | counts(6, 0))
    assert 30 < got['sot/AUC'] < 90
    assert not evaluator.metrics[0].results
    evaluator = make_evaluator(tmp_path, 'got10k')  # pools the frames of all sequences
    scores = feed(evaluator, NAMES, dataset='got10k')
    got = evaluator.evaluate(6)
    pooled = np.average([s.curves.overlap for s in scores], weights=[s.counted for s in scores])
    assert set(got) == {'sot/AO', 'sot/SR50', 'sot/SR75', *counts(6, 0)}
    assert got['sot/AO'] == pytest.approx(100 * pooled)
    assert all(s.counted < s.frames for s in scores)


def counts(sequences, failed):
    return {'sot/sequences': sequences, 'sot/failed': failed}


def test_files_hold_every_sequence_and_class(tmp_path, capsys):
    got = run(tmp_path, tracker='mine')
    rows = table(tmp_path / 'sequences.csv')
    assert [row['sequence'] for row in rows] == NAMES
    assert np.mean([float(row['AUC']) for row in rows]) == pytest.approx(got['sot/AUC'], abs=1e-4)
    assert {row['FPS'] for row in rows} == {'50.0'}
    groups = {row['group']: float(row['mine AUC']) for row in table(tmp_path / 'groups.csv')}
    cats = [float(row['AUC']) for row in rows if row['sequence'].startswith('cat')]
    assert groups['cat'] == pytest.approx(np.mean(cats), abs=1e-4)
    assert groups.keys() == {'cat', 'dog'}
    saved = json.loads((tmp_path / 'summary.json').read_text())
    mine = saved['trackers']['mine']
    assert saved['protocol']['name'] == 'lasot'
    assert mine['numbers']['AUC'] == pytest.approx(got['sot/AUC'], abs=1e-4)
    assert 100 * np.mean(mine['curves']['success']) == pytest.approx(got['sot/AUC'], abs=1e-3)
    log = capsys.readouterr().out
    line = next(line for line in log.splitlines() if line.split()[:1] == ['mine'])
    assert line.split()[1] == f'{got["sot/AUC"]:.2f}'


def test_plots_are_drawn_beside_the_log_by_default(tmp_path):
    MMLogger.get_instance('run', log_file=str(tmp_path / 'run.log'))
    evaluator = Evaluator([dict(type='mmlite.SOTMetric')])
    evaluator.dataset_meta = dict(dataset='lasot', protocol='lasot')
    feed(evaluator, NAMES)
    evaluator.evaluate(6)
    for name in ('success.png', 'precision.png', 'norm_precision.png'):
        image = cv2.imread(str(tmp_path / name))
        assert image.shape[1] > 500
        assert (image != 255).any(-1).mean() > 0.02


def test_failed_sequences_are_named_and_not_scored(tmp_path, capsys):
    evaluator = make_evaluator(tmp_path)
    feed(evaluator, NAMES[:4])
    evaluator.metrics[0].add_failure('dog-2', 'dog-2/img/00000007.jpg cannot be read')
    sequence, track = make('dog-3')
    track.boxes = track.boxes[:-1]
    evaluator.process(data_batch=[sequence], data_samples=[track])
    got = evaluator.evaluate(6)
    part = make_evaluator(tmp_path / 'part', names=NAMES[:4])
    feed(part, NAMES[:4])
    assert got == {**part.evaluate(4), **counts(4, 2)}
    log = capsys.readouterr().out
    assert '2 of 6 sequences failed and are not scored: dog-2, dog-3' in log
    assert f'sequence dog-3: {len(track)} predicted boxes for {len(sequence)} annotated' in log
    errors = {row['sequence']: row['error'] for row in table(tmp_path / 'sequences.csv')}
    assert errors['dog-2'] == 'dog-2/img/00000007.jpg cannot be read'
    assert errors['cat-1'] == ''
    evaluator = make_evaluator(tmp_path, names=['cat-1'])
    evaluator.metrics[0].add_failure('cat-1', 'no frames')
    got = evaluator.evaluate(1)
    assert np.isnan(got['sot/AUC']) and got['sot/failed'] == 1


def test_a_missing_sequence_is_an_error_that_names_it(tmp_path):
    with pytest.raises(DataError, match='2 of the 6 sequences of lasot were not evaluated: dog-2,'):
        run(tmp_path, NAMES[:4])
    evaluator = make_evaluator(tmp_path, names=None)
    feed(evaluator, NAMES[:4])
    with pytest.raises(DataError, match='4 sequences were evaluated, but lasot has 6'):
        evaluator.evaluate(6)


def test_papers_count_uav123_otherwise(tmp_path, capsys):
    meta = dict(dataset='uav123', usual='uav')
    default = run(tmp_path, **meta)
    assert "papers score this data set by protocol 'uav'" in capsys.readouterr().out
    papers = run(tmp_path, **meta, protocol='uav')
    assert "protocol 'uav'" not in capsys.readouterr().out
    assert papers['sot/P'] > default['sot/P']
    assert papers['sot/AUC'] == default['sot/AUC']
    with pytest.raises(ArgumentError, match="protocol 'lazot' is unknown"):
        Evaluator([dict(type='mmlite.SOTMetric', protocol='lazot')])


def test_test_sets_without_annotation_give_the_archive_for_the_server(tmp_path):
    evaluator = make_evaluator(tmp_path, 'trackingnet')
    feed(evaluator, NAMES[::-1], annotated=False)
    assert evaluator.evaluate(6) == counts(6, 0)
    with zipfile.ZipFile(tmp_path / 'trackingnet_submission.zip') as archive:
        assert archive.namelist() == [f'{name}.txt' for name in NAMES]
        lines = archive.read('dog-1.txt').decode().splitlines()
    assert len(lines) == len(make('dog-1')[1])
    assert [path.name for path in tmp_path.iterdir()] == ['trackingnet_submission.zip']


def test_an_archive_is_complete_and_in_a_directory(tmp_path, capsys):
    evaluator = make_evaluator(tmp_path, 'got10k')
    feed(evaluator, NAMES[1:], annotated=False)
    evaluator.metrics[0].add_failure('cat-1', 'no frames')
    assert evaluator.evaluate(6) == counts(5, 1)
    assert not list(tmp_path.iterdir())
    evaluator = make_evaluator(None, 'got10k')
    feed(evaluator, NAMES, annotated=False)
    with pytest.raises(UserError, match='set out_dir of SOTMetric'):
        evaluator.evaluate(6)
    evaluator = make_evaluator(tmp_path, 'frames', usual='lasot')
    feed(evaluator, NAMES[:5])
    feed(evaluator, NAMES[5:], annotated=False)
    assert evaluator.evaluate(6)['sot/sequences'] == 5
    assert '1 sequences have no annotation and are not scored: dog-3' in capsys.readouterr().out


def test_two_processes_give_the_metrics_of_one(tmp_path, monkeypatch):
    """Shares of unequal size, one sequence twice; a missing one is an error on both."""
    alone = make_evaluator(tmp_path / 'alone')
    feed(alone, NAMES[:5])
    alone.metrics[0].add_failure('dog-3', 'no frames')
    want = alone.evaluate(6)
    both = [make_evaluator(tmp_path / 'out') for _ in range(2)]
    shares = (NAMES[3:0:-1], [NAMES[4], NAMES[0], NAMES[1]])
    parts, sent = [], []

    def broadcast(objects):
        sent[:] = sent or objects  # the first process's
        objects[:] = sent

    monkeypatch.setattr(metric, 'all_gather_object', lambda _: parts)
    monkeypatch.setattr(metric, 'broadcast_object_list', broadcast)
    monkeypatch.setattr(metric, 'is_main_process', lambda: not sent)

    def gather(*failures):
        sent.clear()
        parts[:] = [feed(*given) for given in zip(both, shares, strict=True)]
        parts[1] += failures

    gather(metric._Failure('dog-3', 'no frames'))
    assert both[0].evaluate(6) == both[1].evaluate(6) == want
    one, two = (tmp_path / name / 'sequences.csv' for name in ('alone', 'out'))
    assert one.read_bytes() == two.read_bytes()
    gather()
    for evaluator in both:
        with pytest.raises(DataError, match='^1 of the 6 sequences .* not evaluated: dog-3$'):
            evaluator.evaluate(6)
