"""Files of tracks: what is written is what is read, whoever wrote it."""

import json
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest

from mmlite.errors import DataError, UserError
from mmlite.evaluation.sot.results import (
    LOST,
    SKIPPED,
    STARTED,
    ResultFolder,
    Track,
    read_boxes,
    read_column,
    read_track,
    write_track,
)
from mmlite.evaluation.sot.submission import write_submission

IDENTITY = dict(weights='abc', size=(128, 256))


def make_track(name='cat-1', frames=5):
    rng = np.random.default_rng(len(name))
    boxes, scores = rng.uniform(0, 300, (frames, 4)), rng.uniform(size=frames)
    return Track(name, boxes, rng.uniform(0.01, 0.02, frames), scores)


def sequence(name='cat-1', frames=5):
    return SimpleNamespace(name=name, frames=range(frames), boxes=make_track(name, frames).boxes)


def test_a_track_comes_back_from_its_files_bit_by_bit(tmp_path):
    track = make_track()
    folder = ResultFolder(tmp_path / 'deep' / 'results', IDENTITY)
    assert folder.read(sequence()) is None
    folder.write(track)
    back = ResultFolder(folder.path, IDENTITY).read(sequence())
    assert back.name == track.name
    for key in ('boxes', 'seconds', 'scores'):
        np.testing.assert_array_equal(getattr(back, key), getattr(track, key))
    identity = json.loads((folder.path / 'identity.json').read_text())
    assert identity == dict(IDENTITY, size=[128, 256])
    names = sorted(path.name for path in folder.path.iterdir())
    assert names == ['cat-1.txt', 'cat-1_score.txt', 'cat-1_time.txt', 'identity.json']
    first = np.loadtxt(folder.path / 'cat-1.txt', delimiter=',')[0]
    np.testing.assert_allclose(first, track.boxes[0], atol=1e-4)


def test_boxes_are_written_last_and_only_if_they_are_numbers(tmp_path):
    folder = ResultFolder(tmp_path, IDENTITY)
    track = make_track()
    track.boxes[3, 1] = np.nan
    with pytest.raises(DataError, match='track cat-1: the box of frame 3 is'):
        folder.write(track)
    assert (tmp_path / 'cat-1_score.txt').is_file()
    assert folder.read(sequence()) is None


def test_results_of_other_weights_are_neither_read_nor_overwritten(tmp_path):
    ResultFolder(tmp_path, IDENTITY).write(make_track())
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(UserError, match=r'other weights or settings \(different: fp16, weights\)'):
        ResultFolder(tmp_path, dict(IDENTITY, weights='abd', fp16=True))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    (tmp_path / 'identity.json').write_text('{"weights"')
    with pytest.raises(UserError, match='identity.json cannot be read'):
        ResultFolder(tmp_path, IDENTITY)
    (tmp_path / 'identity.json').unlink()
    with pytest.raises(UserError, match='holds results, but no identity.json'):
        ResultFolder(tmp_path, IDENTITY)


@pytest.mark.parametrize(('file', 'problem'), [
    ('cat-1.txt', 'cat-1_time.txt has 5 lines, but cat-1.txt has 4'),
    ('cat-1_score.txt', 'cat-1_score.txt has 4 lines, but cat-1.txt has 5'),
])  # fmt: skip
def test_results_of_another_length_are_refused(file, problem, tmp_path):
    folder = ResultFolder(tmp_path, IDENTITY)
    folder.write(make_track())
    path = tmp_path / file
    path.write_text('\n'.join(path.read_text().splitlines()[:4]) + '\n')
    with pytest.raises(DataError, match=problem):
        folder.read(sequence())
    folder.write(make_track(frames=4))
    with pytest.raises(DataError, match='cat-1.txt has 4 boxes, but sequence cat-1 has 5 frames'):
        folder.read(sequence())


def test_integer_tab_is_what_pytracking_writes(tmp_path):
    track = Track('cat-1', [[1.99, 2, -3.5, 400], [0.4, 10.5, 7.999, 1]], [0.5, 0.0123456789])
    write_track(tmp_path, track, 'integer-tab')
    assert (tmp_path / 'cat-1.txt').read_text() == '1\t2\t-3\t400\n0\t10\t7\t1\n'
    assert (tmp_path / 'cat-1_time.txt').read_text() == '0.500000\n0.012346\n'


@pytest.mark.parametrize('text', [
    '1,2,3.5,4\n5,6,7,8\n', '1\t2\t3.5\t4\n5\t6\t7\t8', '1 2 3.5 4\r\n5 6 7 8\r\n\r\n',
    ' 1, 2, 3.5, 4\n5,\t6,  7, 8\n', '1.000e+00,2.0,3.5,4\n5,6,7,8\n',
])  # fmt: skip
def test_boxes_of_any_toolkit_are_read(text, tmp_path):
    path = tmp_path / 'boxes.txt'
    path.write_text(text, newline='')
    np.testing.assert_array_equal(read_boxes(path), [[1, 2, 3.5, 4], [5, 6, 7, 8]])
    with pytest.raises(DataError, match='none.txt cannot be read'):
        read_boxes(tmp_path / 'none.txt')
    path.write_text('0.5,1\n0.25\n')
    with pytest.raises(DataError, match="boxes.txt, line 2: '0.25' is not 2 numbers"):
        read_column(path)


@pytest.mark.parametrize(('place', 'dataset'), [
    ('cat-1.txt', 'lasot'), ('lasot/cat-1.txt', 'lasot'), ('cat-1/cat-1_001.txt', 'got10k'),
    ('uav_cat-1.txt', 'uav123'), ('nfs/nfs_cat-1.txt', 'nfs'),
])  # fmt: skip
def test_layouts_of_other_toolkits_are_found(place, dataset, tmp_path):
    file = tmp_path / place
    file.parent.mkdir(exist_ok=True)
    file.write_text('1,2,3,4\n5,6,7,8\n')
    stem = file.name.replace('_001', '').removesuffix('.txt')
    file.with_name(f'{stem}_time.txt').write_text('0.5,0.7\n0.25,0.7\n')
    track = read_track(tmp_path, 'cat-1', 2, dataset)
    np.testing.assert_array_equal(track.boxes, [[1, 2, 3, 4], [5, 6, 7, 8]])
    np.testing.assert_array_equal(track.seconds, [0.5, 0.25])
    assert read_track(tmp_path, 'cat-2', 2, dataset) is None
    if dataset == 'uav123':
        assert read_track(tmp_path, 'cat-1', 2, 'lasot') is None


def test_predictions_after_the_last_frame_are_cut_with_a_warning(tmp_path, capsys):
    write_track(tmp_path, make_track('monkey-17', frames=7))
    track = read_track(tmp_path, 'monkey-17', 5, 'lasot')
    assert (len(track), len(track.seconds)) == (5, 5)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if 'monkey-17' in line]
    assert 'has 7 boxes, but sequence monkey-17 has 5 frames: the last 2 are not' in line
    write_track(tmp_path, make_track(frames=4))
    with pytest.raises(DataError, match='cat-1.txt has 4 boxes, but sequence cat-1 has 5 frames'):
        read_track(tmp_path, 'cat-1', 5)
    (tmp_path / 'cat-1_time.txt').write_text('0.1\n0.1\n')
    with pytest.raises(DataError, match='cat-1_time.txt has 2 lines, but cat-1.txt has 4'):
        read_track(tmp_path, 'cat-1', 4)


def test_submission_to_got10k(tmp_path):
    tracks = [make_track(f'GOT-10k_Test_00000{i}') for i in (1, 2)]
    names = [track.name for track in tracks]
    file, again = tmp_path / 'a' / 'got.zip', tmp_path / 'b.zip'
    write_submission(file, 'got10k', tracks[::-1], names)
    with zipfile.ZipFile(file) as archive:
        wanted = [f'{n}/{n}_{end}.txt' for n in names for end in ('001', 'time')]
        assert archive.namelist() == wanted
        boxes, times = (archive.read(name).decode().splitlines() for name in wanted[:2])
        archive.extractall(tmp_path)
    assert boxes == [','.join(f'{v:.3f}' for v in box) for box in tracks[0].boxes]
    assert times == [f'{v:.8f}' for v in tracks[0].seconds]
    write_submission(again, 'got10k', tracks, names)
    assert again.read_bytes() == file.read_bytes()
    back = read_track(tmp_path, names[0], 5, 'got10k')
    np.testing.assert_allclose(back.boxes, tracks[0].boxes, atol=1e-3)


def test_results_for_the_vot_toolkit(tmp_path):
    """Codes for start, failure and skipped frames; times; equal repetitions of the baseline."""
    track = make_track('bag', 9)
    track.boxes[3:8] = LOST, SKIPPED, SKIPPED, SKIPPED, STARTED
    folder = ResultFolder(tmp_path / 'results', IDENTITY)
    folder.write(track)
    back = folder.read(SimpleNamespace(name='bag', frames=range(9), boxes=track.boxes))
    np.testing.assert_array_equal(back.boxes, track.boxes)
    box = [','.join(f'{v:.4f}' for v in row) for row in track.boxes]
    wanted = ['1', box[1], box[2], '2', '0', '0', '0', '1', box[8]]
    for experiment, times in (('baseline', 3), ('unsupervised', 1)):
        file = tmp_path / f'{experiment}.zip'
        write_submission(file, f'vot_{experiment}', [track], ['bag'])
        with zipfile.ZipFile(file) as archive:
            stems = [f'{experiment}/bag/bag_00{n}' for n in range(1, times + 1)]
            assert archive.namelist() == [s + end for s in stems for end in ('.txt', '_time.value')]
            for stem in stems:
                assert archive.read(f'{stem}.txt').decode().splitlines() == wanted
            assert len(archive.read(f'{stems[0]}_time.value').split()) == 9


def test_submissions_are_whole_or_not_written(tmp_path):
    track = make_track('a')
    file = tmp_path / 'x.zip'
    with pytest.raises(DataError, match=r'requires all 3 sequences, but 2 are missing \(b, c\)'):
        write_submission(file, 'got10k', [track], ['a', 'b', 'c'])
    untimed = Track('b', track.boxes)
    with pytest.raises(DataError, match='track b has no b_time.txt'):
        write_submission(file, 'got10k', [track, untimed], ['a', 'b'])
    untimed.boxes[2, 0] = np.inf
    with pytest.raises(DataError, match='track b: the box of frame 2'):
        write_submission(file, 'trackingnet', [track, untimed], ['a', 'b'])
    assert not list(tmp_path.iterdir())
