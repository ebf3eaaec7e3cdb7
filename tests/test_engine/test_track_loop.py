"""Evaluation of trackers: batched, shared out, resumed, with bad sequences among good ones."""

import itertools
import json
import os
import signal
import sys
import threading
import time
import zipfile
from multiprocessing import get_context
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import run_tool as tools
import tiny_tracker
import torch
import trainings
from mmengine.config import Config
from mmengine.runner import Runner

from mmlite.datasets.sot.sequence import Sequence
from mmlite.engine.tracking import OnlineTracker, digest, split_by_frames, track_sequences
from mmlite.engine.tracking.lockstep import touches
from mmlite.errors import DataError
from mmlite.evaluation.sot.results import read_boxes
from mmlite.visualization.palette import PALETTE
from mmlite.visualization.tracks import TRUTH

FORK = get_context('fork')
RUNS = itertools.count()
LENGTHS = dict(a=9, b=23, c=1, d=14, e=5, f=2)


@pytest.fixture(scope='module')
def videos(tmp_path_factory):
    """Six sequences of 1 to 23 frames."""
    root = tmp_path_factory.mktemp('videos')
    for seed, (name, frames) in enumerate(LENGTHS.items()):
        tiny_tracker.write_sequence(root, name, tiny_tracker.path(frames, seed))
    return root


@pytest.fixture
def bad_videos(tmp_path):
    """Two good sequences among some of every kind of bad one."""
    root = tmp_path / 'videos'
    boxes = tiny_tracker.path(8)
    names = ('cut', 'good', 'long', 'moon', 'nan', 'size', 'well')
    folders = {name: tiny_tracker.write_sequence(root, name, boxes) for name in names}
    truncated = folders['cut'] / '0005.png'
    truncated.write_bytes(truncated.read_bytes()[:60])
    first, *rest = (folders['good'] / 'groundtruth.txt').read_text().split()
    for name, lines in dict(
        long=[first, *rest, '1,2,3,4'], nan=['nan,nan,nan,nan', *rest], moon=['900,2,9,9', *rest]
    ).items():
        (folders[name] / 'groundtruth.txt').write_text('\n'.join(lines))
    cv2.imwrite(str(folders['size'] / '0003.png'), tiny_tracker.draw(boxes[3], height=200))
    return root


SENTENCES = {
    'cut': 'cut/0005.png cannot be read',
    'long': 'groundtruth.txt has 9 boxes for the 8 frames',
    'moon': 'init box x=900, y=2, w=9, h=9 lies outside the frame of 160x120 pixels',
    'nan': 'nan/0000.png: box x=nan, y=nan, w=nan, h=nan cannot be cropped around',
    'size': 'size/0003.png: the frame has 160x200 pixels, those before it 160x120',
}


@pytest.fixture(autouse=True)
def on_cpu(monkeypatch):
    monkeypatch.setattr('mmengine.device.utils.DEVICE', 'cpu')  # processes are forked


def run_tool(config, checkpoint, work_dir, *options, launcher='none', show_dir=None):
    """``tools/test.py`` in this process; returns its exit code and the metrics."""
    out = work_dir.with_suffix('.json')
    out.unlink(missing_ok=True)
    args = [config, checkpoint, '--work-dir', work_dir, '--out', out, '--launcher', launcher]
    args += ['--show-dir', show_dir] if show_dir else []
    # loggers live on in this process, by the name of the experiment and the second
    args += ['--cfg-options', f'experiment_name=run{next(RUNS)}', *options]
    code = tools.run_tool('test', *args)
    return code, json.loads(out.read_text()) if out.exists() else None


@pytest.fixture
def evaluate(tmp_path, videos):
    """A function that tests a model on ``videos``: options to exit code and metrics."""

    def run(name, *options, root=videos, show_dir=None, **model):
        config, checkpoint = tiny_tracker.write_config(tmp_path, root, **model)
        return run_tool(config, checkpoint, tmp_path / name, *options, show_dir=show_dir)

    return run


def results(folder):
    """Boxes of every sequence in a results folder."""
    files = sorted(f for f in folder.glob('*.txt') if not f.stem.endswith(('_time', '_score')))
    return {file.stem: read_boxes(file) for file in files}


SCORES = ('sot/AUC', 'sot/P', 'sot/P_norm', 'sot/sequences', 'sot/failed')


def test_the_frame_rate_is_that_of_the_tracker():
    class Slow:
        def start(self, frames, boxes):
            time.sleep(0.05)
            return [SimpleNamespace(shape=frames[0].shape[:2])]

        def step(self, targets, frames):
            time.sleep(0.08)
            return [(1, 2, 3, 4)] * len(targets), [0.5] * len(targets)

    sequences = [sequence('a', 3, delay=0.2), sequence('b', 3, delay=0.2)]
    tracked = track_sequences(Slow(), [0, 1], sequences.__getitem__, batch_size=2)
    for _, _, track in tracked:
        assert track.seconds == pytest.approx([0.05, 0.04, 0.04], abs=0.02)
        assert track.scores.tolist() == [1, 0.5, 0.5]


class Frames:
    """Frames in memory that take some time; notes which are read, and whether two at once."""

    def __init__(self, boxes, delay, broken):
        self.boxes, self.delay, self.broken = boxes, delay, broken
        self.read_so_far, self.overlapped = [], False
        self._busy = threading.Lock()

    def __len__(self):
        return len(self.boxes)

    def where(self, index):
        return f'frame {index}'

    def read(self, index):
        self.overlapped |= not self._busy.acquire(blocking=False)
        time.sleep(self.delay)
        self.read_so_far.append(index)
        self._busy.release()
        if index == self.broken:
            raise DataError(f'frame {index} is broken')
        return tiny_tracker.draw(self.boxes[index])


def sequence(name, frames, delay=0.0, seed=0, broken=None):
    boxes = tiny_tracker.path(frames, seed)
    return Sequence(name, 'frames', Frames(boxes, delay, broken), boxes, np.ones(frames, bool))


def test_frames_are_read_ahead_in_order_by_threads():
    sequences = [sequence(name, 20, delay=0.01, seed=i) for i, name in enumerate('abcd')]
    tracker = OnlineTracker(tiny_tracker.RectangleFinder().eval())
    began = time.perf_counter()
    ended = list(track_sequences(tracker, range(4), sequences.__getitem__, 4, threads=4))
    seconds = time.perf_counter() - began
    assert seconds < 0.7 * 80 * 0.01 + sum(t.seconds.sum() for _, _, t in ended)
    assert [s.name for _, s, _ in ended] == ['a', 'b', 'c', 'd']
    for s in sequences:
        assert s.frames.read_so_far == list(range(20))  # a video file has one decoder
        assert not s.frames.overlapped


def test_a_free_slot_is_taken_by_the_next_sequence():
    finder = tiny_tracker.RectangleFinder().eval()
    sequences = [sequence(n, f, seed=f) for n, f in (('a', 12), ('b', 4), ('c', 4), ('d', 3))]
    order, frames = [], []
    tracked = track_sequences(
        OnlineTracker(finder), range(4), sequences.__getitem__, 2, on_step=frames.append
    )
    for index, given, track in tracked:
        order.append(given.name)
        assert np.abs(track.boxes - sequences[index].boxes).max() < 1
    assert order == ['b', 'c', 'd', 'a']
    assert sum(frames) == 23
    batches = [len(images) for name, images in finder.calls if name == 'locate']
    assert sum(batches) == 23 - 4
    assert max(batches) == 2
    assert len(batches) == 11  # as many as the longest has steps


def test_frames_are_not_read_on_after_a_failure():
    good, bad = sequence('good', 30), sequence('bad', 30, broken=3)
    tracker = OnlineTracker(tiny_tracker.RectangleFinder().eval())
    ended = list(track_sequences(tracker, range(2), [bad, good].__getitem__, 2))
    assert [(index, str(outcome)) for index, _, outcome in ended[:1]] == [(0, 'frame 3 is broken')]
    assert len(ended[1][2]) == 30
    assert bad.frames.read_so_far == [0, 1, 2, 3]


@pytest.mark.parametrize('parts', [1, 2, 5])
def test_frames_are_balanced(parts):
    lengths = np.random.default_rng(0).integers(100, 10000, 280)
    indices = [i for i in range(280) if i % 7]
    shares = split_by_frames(lengths, indices, parts)
    assert sorted(sum(shares, [])) == indices
    loads = [lengths[share].sum() for share in shares]
    assert max(loads) - min(loads) < 200
    assert all(list(lengths[s]) == sorted(lengths[s], reverse=True) for s in shares)
    assert shares == split_by_frames(lengths, reversed(indices), parts)


def test_the_others_go_on_where_sequences_are_bad(evaluate, bad_videos, tmp_path, capsys):
    """Also in two processes."""
    code, one = evaluate('one', root=bad_videos)
    assert (code, one['sot/sequences'], one['sot/failed']) == (1, 2, 5)
    captured = capsys.readouterr()
    last = captured.err.strip().splitlines()[-1]
    assert last.startswith('error: 5 of 7 sequences were not evaluated; the first, cut: image ')
    for name, words in SENTENCES.items():
        (line,) = [s for s in captured.out.splitlines() if f'Sequence {name} is not' in s]
        assert words in line

    files = tiny_tracker.write_config(tmp_path, bad_videos)
    environment = dict(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(trainings.free_port()))

    def be_one_of_two(rank):
        os.environ.update(environment, RANK=rank, LOCAL_RANK=rank, WORLD_SIZE='2')
        torch.cuda.set_device = lambda rank: None  # also where there are GPUs
        out = f'test_cfg.out_dir={tmp_path / "results"}'
        sys.exit(run_tool(*files, tmp_path / 'two', out, launcher='pytorch')[0])

    processes = [FORK.Process(target=be_one_of_two, args=rank) for rank in '01']
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [1, 0]  # the first says what failed
    two = json.loads((tmp_path / 'two.json').read_text())
    for key in SCORES:
        assert two[key] == pytest.approx(one[key], abs=1e-9)
    assert results(tmp_path / 'results' / 'frames').keys() == {'good', 'well'}


@pytest.mark.parametrize('order', [[0, 1, 2, 3], [3, 2, 1, 0], [0, 2, 1, 3]])
def test_a_box_is_lost_where_it_leaves_the_region_itself(order):
    """Not the box around a rhombus; touching is not enough."""
    rhombus = np.array([(10, 0), (20, 10), (10, 20), (0, 10)], float)[order]
    inside, outside = [(0, 0, 6, 6), (9, 9, 2, 2), (-5, -5, 50, 50)], [(0, 0, 4, 4), (20, 9, 3, 3)]
    assert [touches(box, rhombus) for box in inside + outside] == [True] * 3 + [False] * 2


VOT = ('test_dataloader.dataset.type=mmlite.VOTDataset',)


@pytest.mark.parametrize('experiment', ['baseline', 'unsupervised'])
def test_vot_starts_a_lost_tracker_anew(experiment, evaluate, tmp_path):
    """In frame 7 the target jumps out of the search region, and for good."""
    root, boxes = tmp_path / 'vot', np.array([(10, 40, 20, 20)] * 7 + [(120, 40, 20, 20)] * 9)
    tiny_tracker.write_sequence(root, 'jump', boxes)
    tiny_tracker.write_sequence(root, 'still', boxes[:5])
    (root / 'list.txt').write_text('jump\nstill\n')
    option = f'test_dataloader.dataset.experiment={experiment}'
    code, metrics = evaluate('one', *VOT, option, root=root, show_dir=tmp_path / 'shown')
    assert (code, metrics) == (0, {'sot/sequences': 2, 'sot/failed': 0})
    (file,) = (tmp_path / 'one').rglob(f'vot_{experiment}_submission.zip')
    with zipfile.ZipFile(file) as archive:
        text = archive.read(f'{experiment}/jump/jump_001.txt').decode().splitlines()
    tracked = [np.array(line.split(','), float) for line in text]
    assert [len(row) for row in tracked[:7]] == [1] + [4] * 6
    np.testing.assert_allclose(tracked[6], boxes[6], atol=1)
    if experiment == 'baseline':
        assert text[7:13] == ['2', '0', '0', '0', '0', '1']
        np.testing.assert_allclose(tracked[13:], boxes[13:], atol=1)
    else:
        assert {len(row) for row in tracked[7:]} == {4}
    assert (tmp_path / 'shown' / 'jump.jpg').is_file()


def locate_until(monkeypatch, calls, then):
    """Have the finder call ``then`` in the given call of ``locate``."""
    locate, made = tiny_tracker.RectangleFinder.locate, []

    def counted(self, *args):
        made.append(1)
        if len(made) == calls:
            then()
        return locate(self, *args)

    monkeypatch.setattr(tiny_tracker.RectangleFinder, 'locate', counted)
    return made


def test_a_killed_evaluation_goes_on_where_it_was(evaluate, tmp_path, videos, monkeypatch):
    out = f'test_cfg.out_dir={tmp_path / "results"}'
    _, wanted = evaluate('whole')

    def killed():
        locate_until(monkeypatch, 15, lambda: os.kill(os.getpid(), signal.SIGKILL))
        evaluate('killed', out)

    child = FORK.Process(target=killed)
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    finished = results(tmp_path / 'results' / 'frames')
    assert 0 < len(finished) < len(LENGTHS)
    made = locate_until(monkeypatch, -1, None)
    code, metrics = evaluate('resumed', out, 'test_cfg.batch_size=1')
    assert code == 0
    assert len(made) == sum(n - 1 for name, n in LENGTHS.items() if name not in finished)
    assert metrics['sot/AUC'] > 80
    assert (metrics['sot/sequences'], metrics['sot/failed']) == (len(LENGTHS), 0)
    for key in SCORES:
        assert metrics[key] == pytest.approx(wanted[key], abs=1e-3)
    for name, boxes in results(tmp_path / 'results' / 'frames').items():
        assert np.abs(boxes - read_boxes(videos / name / 'groundtruth.txt')).max() < 1


def test_earlier_results_that_do_not_fit_are_refused(evaluate, tmp_path, capsys):
    out = f'test_cfg.out_dir={tmp_path / "results"}'
    assert evaluate('first', out)[0] == 0
    assert capsys.readouterr().err.splitlines()[-1].startswith('tracking: 54/54 frames, ')
    for option, different in (('model.shift=0.1', 'model'), ('test_cfg.fp16=True', 'fp16')):
        assert evaluate('second', out, option) == (2, None)
        assert f'other weights or settings (different: {different})' in capsys.readouterr().err
    assert evaluate('second', out, shift=0.01) == (2, None)
    assert 'other weights or settings (different: weights)' in capsys.readouterr().err
    file = tmp_path / 'results' / 'frames' / 'd.txt'
    file.write_text('1,2,3,4\n' + file.read_text().split('\n', 1)[1])
    code, metrics = evaluate('third', out)
    assert (code, metrics['sot/failed'], metrics['sot/sequences']) == (1, 1, 5)
    error = capsys.readouterr().err
    assert '1 of 6 sequences were not evaluated; the first, d:' in error
    assert 'd.txt begins with another box than the annotation of sequence d' in error


def test_by_default_results_are_kept_apart_in_the_work_dir(evaluate, tmp_path, monkeypatch):
    made = locate_until(monkeypatch, -1, None)
    whole = sum(LENGTHS.values()) - len(LENGTHS)
    options = (), (), ('test_cfg.fp16=True',), ('test_cfg.out_dir=None',)
    for given, calls in zip(options, (whole, 0, whole, whole), strict=True):
        made.clear()
        code, metrics = evaluate('work', 'test_cfg.batch_size=1', *given)
        assert (code, len(made)) == (0, calls)
        assert metrics['sot/sequences'] == len(LENGTHS)
    folders = list((tmp_path / 'work' / 'results').iterdir())
    assert len(folders) == 2
    assert all(results(folder).keys() == LENGTHS.keys() for folder in folders)


def test_the_digest_tells_every_bit():
    state = dict(a=torch.zeros(3), b=torch.tensor(2), c=torch.ones(2, 2).bfloat16())
    assert digest({k: v.clone() for k, v in reversed(state.items())}) == digest(state)
    others = [
        state | dict(a=torch.tensor([0.0, 0.0, 1e-30])),
        state | dict(b=torch.tensor(3)),
        state | dict(c=torch.ones(4).bfloat16()),
        state | dict(a=torch.zeros(3, dtype=torch.int32)),
        {('d' if k == 'a' else k): v for k, v in state.items()},
    ]
    assert len({digest(other) for other in [state, *others]}) == 6


def test_a_contact_sheet_of_every_sequence_is_drawn(evaluate, tmp_path):
    folder = tmp_path / 'images'
    assert evaluate('work', show_dir=folder, shift=0.05)[0] == 0
    assert sorted(path.stem for path in folder.iterdir()) == list(LENGTHS)
    rows = {name: cv2.imread(str(folder / f'{name}.jpg')).shape[0] for name in LENGTHS}
    assert rows['b'] - rows['d'] == 0 and rows['b'] - rows['e'] == 225 + 6  # 3 rows and 2
    image = cv2.imread(str(folder / 'f.jpg'))[60:280].astype(int)  # without header and legend
    for color in (TRUTH, PALETTE[0]):  # annotated, and predicted beside it
        assert (np.abs(image - color[::-1]).max(2) < 70).sum() > 40


def test_hooks_are_called_as_by_the_stock_loop(tmp_path, videos):
    cfg = Config.fromfile(tiny_tracker.write_config(tmp_path, videos)[0])
    cfg.work_dir = str(tmp_path)
    runner = Runner.from_cfg(cfg)
    call, calls = runner.call_hook, []

    def note(name, **kwargs):
        calls.append((name, kwargs, runner.model.training))
        call(name, **kwargs)

    runner.call_hook = note
    metrics = runner.test()
    names = [name for name, _, _ in calls if 'test' in name]
    pair = ['before_test_iter', 'after_test_iter']
    epoch = ['before_test_epoch', *6 * pair, 'after_test_epoch']
    assert names == ['before_test', *epoch, 'after_test']
    assert not any(training for name, _, training in calls if 'iter' in name)
    ended = [kwargs for name, kwargs, _ in calls if name == 'after_test_iter']
    assert [call['batch_idx'] for call in ended] == list(range(6))
    pairs = [(*call['data_batch'], *call['outputs']) for call in ended]
    assert {track.name for _, track in pairs} == LENGTHS.keys()
    for given, track in pairs:
        assert given.name == track.name and len(track.boxes) == LENGTHS[given.name]
    (final,) = [kwargs for name, kwargs, _ in calls if name == 'after_test_epoch']
    assert final['metrics'] == metrics
