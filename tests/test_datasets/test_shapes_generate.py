"""Making sets: determinism, resuming, refusing, the command line and the contact sheet."""

import importlib.util
import io
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmlite.datasets.shapes import Job, check, contact_path, generate, task_spec
from mmlite.datasets.shapes.cli import Progress, jobs_from_args, parse_args, run
from mmlite.datasets.shapes.formats import COCO, FORMATS
from mmlite.datasets.shapes.sheet import Sheet, draw_box, draw_mask, fit, palette
from mmlite.errors import DataError, UserError

TASKS = tuple(FORMATS)


def job_for(folder, task='det', **options):
    """A small job, in ``folder``."""
    spec = task_spec(task, size=64, min_size=0.2, classes=4, frames=13)
    counts = {'train': 3, 'val': 2} if task in ('sot', 'got') else {'train': 35, 'val': 3}
    return Job(task, folder / FORMATS[task].folder, spec, **{**counts, **options})


def contents(root):
    """Relative path -> bytes of every file."""
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob('*') if p.is_file()}


@pytest.mark.parametrize('task', TASKS)
def test_files_do_not_depend_on_the_number_of_processes(tmp_path, task):
    one, two = job_for(tmp_path / 'one', task), job_for(tmp_path / 'two', task)
    assert generate(one, workers=1) and generate(two, workers=2)
    files = contents(one.root)
    assert files == contents(two.root)
    assert contact_path(one).read_bytes() == contact_path(two).read_bytes()
    assert json.loads(files['shapes.json'])['complete'] is True
    assert not [name for name in files if Path(name).name.startswith('.')]


@pytest.mark.parametrize('task', TASKS)
def test_seed_changes_the_pictures(tmp_path, task):
    pictures = []
    for seed in (0, 1):
        job = job_for(tmp_path / str(seed), task, seed=seed, train=1, val=1)
        generate(job)
        files = contents(job.root).items()
        pictures.append({data for name, data in files if name.lower().endswith(('jpg', 'jpeg'))})
    assert not pictures[0] & pictures[1]


@pytest.mark.parametrize('task', TASKS)
def test_a_longer_set_begins_with_the_shorter_one(tmp_path, task):
    short, long = job_for(tmp_path / 's', task, train=3), job_for(tmp_path / 'l', task, train=7)
    generate(short)
    generate(long)
    of_all = ('shapes.json', 'objectInfo12.txt', 'training_set.txt', 'list.txt')
    longer = contents(long.root)
    assert len(longer) > len(contents(short.root))
    for name, data in contents(short.root).items():
        if not name.endswith((*of_all, 'instances_train2017.json')):
            assert longer[name] == data, name


def test_annotations_of_a_longer_set_begin_with_the_shorter_ones(tmp_path):
    data = []
    for train in (5, 9):
        job = job_for(tmp_path / str(train), train=train)
        generate(job)
        path = job.root / 'annotations' / 'instances_train2017.json'
        data.append(json.loads(path.read_text()))
    assert data[1]['images'][:5] == data[0]['images']
    assert data[1]['annotations'][: len(data[0]['annotations'])] == data[0]['annotations']


def shuffled_pair(tmp_path, task, **options):
    true = job_for(tmp_path / 'true', task, **options)
    false = job_for(tmp_path / 'false', task, shuffle_labels=True, **options)
    generate(true)
    generate(false)
    return true, false


def test_shuffled_coco_changes_categories_only(tmp_path):
    true, false = shuffled_pair(tmp_path, 'det', train=60)
    one, two = contents(true.root), contents(false.root)
    assert one.keys() == two.keys()
    assert {n for n in one if one[n] != two[n]} == {
        'shapes.json',
        'annotations/instances_train2017.json',
        'annotations/instances_val2017.json',
    }
    name = 'annotations/instances_train2017.json'
    data = [json.loads(files[name]) for files in (one, two)]
    categories = [[a.pop('category_id') for a in d['annotations']] for d in data]
    assert data[0] == data[1]
    agreement = np.mean(np.array(categories[0]) == np.array(categories[1]))
    assert 0.1 < agreement < 0.4  # four classes: chance is 0.25
    assert set(categories[1]) == {1, 2, 3, 4}


def test_shuffled_imagenet_moves_pictures_only(tmp_path):
    true, false = shuffled_pair(tmp_path, 'cls', train=40)
    folders = []
    for job in (true, false):
        files = (job.root / 'train').rglob('*.JPEG')
        folders.append({p.stem.rsplit('_')[-1]: (p.read_bytes(), p.parent.name) for p in files})
    assert {k: v[0] for k, v in folders[0].items()} == {k: v[0] for k, v in folders[1].items()}
    agreement = np.mean([folders[0][k][1] == folders[1][k][1] for k in folders[0]])
    assert agreement < 0.5
    assert {v[1] for v in folders[1].values()} == set(true.spec.class_names)


def test_shuffled_ade_changes_label_maps_only(tmp_path):
    true, false = shuffled_pair(tmp_path, 'seg', train=20)
    one, two = contents(true.root), contents(false.root)
    assert one.keys() == two.keys()
    same = {n for n in one if one[n] == two[n]}
    assert {n for n in one if n.endswith('.jpg')} <= same
    changed = [n for n in one if n.endswith('.png') and n not in same]
    assert len(changed) > 15
    for name in changed:
        a, b = (cv2.imread(str(job.root / name), cv2.IMREAD_UNCHANGED) for job in (true, false))
        for label in np.unique(a):  # a kind of stuff gets one label of stuff, clutter stays 0
            values = np.unique(b[a == label])
            if 1 <= label <= 8:
                assert len(values) == 1 and 1 <= values[0] <= 8
            else:
                assert (values == 0).all() if label == 0 else (values > 8).all()


@pytest.mark.parametrize('task', ['sot', 'got'])
def test_tracking_labels_cannot_be_shuffled(tmp_path, task):
    with pytest.raises(UserError, match=f"shuffled for task '{task}'"):
        job_for(tmp_path, task, shuffle_labels=True)


@pytest.mark.parametrize('options', [{'seed': -1}, {'train': 0}, {'val': -2}])
def test_job_refuses_wrong_numbers(tmp_path, options):
    with pytest.raises(UserError, match=str(*options.values())):
        job_for(tmp_path, **options)


def test_complete_set_is_left_alone(tmp_path):
    job = job_for(tmp_path)
    assert not check(job)
    assert generate(job)
    times = {p: p.stat().st_mtime_ns for p in tmp_path.rglob('*')}
    assert check(job)
    assert generate(job) is False
    assert times == {p: p.stat().st_mtime_ns for p in tmp_path.rglob('*')}


def test_other_options_are_refused_unless_forced(tmp_path):
    generate(job_for(tmp_path))
    before = contents(tmp_path)
    other = job_for(tmp_path, seed=7, train=2)
    with pytest.raises(UserError, match='seed: 0 there, 7 asked') as error:
        generate(other)
    assert 'train: 35 there, 2 asked' in str(error.value) and '--force' in str(error.value)
    assert contents(tmp_path) == before
    notes = other.root / 'notes.txt'
    notes.write_text('mine')
    assert generate(other, force=True)
    assert len(list((other.root / 'train2017').iterdir())) == 2
    assert notes.read_text() == 'mine'
    clean = job_for(tmp_path / 'clean', seed=7, train=2)
    generate(clean)
    notes.unlink()
    assert contents(other.root) == contents(clean.root)


def test_force_makes_a_complete_set_again(tmp_path):
    job = job_for(tmp_path)
    generate(job)
    picture = job.root / 'train2017' / '000000000001.jpg'
    data = picture.read_bytes()
    picture.write_bytes(b'broken')
    assert generate(job, force=True)
    assert picture.read_bytes() == data


@pytest.mark.parametrize('force', [False, True])
@pytest.mark.parametrize('name', ['annotations/instances_train2017.json', 'shapes.json'])
def test_foreign_folders_are_never_touched(tmp_path, name, force):
    job = job_for(tmp_path)
    path = job.root / name
    path.parent.mkdir(parents=True)
    path.write_text('["real COCO"]')
    with pytest.raises(UserError, match='choose another output folder'):
        generate(job, force=force)
    assert contents(tmp_path) == {f'coco/{name}': b'["real COCO"]'}


@pytest.mark.parametrize('workers', [1, 2])
def test_stopped_run_is_not_complete_and_goes_on(tmp_path, monkeypatch, workers):
    job, straight = job_for(tmp_path / 'a'), job_for(tmp_path / 'b')
    generate(straight)
    write = COCO.write

    def stop(self, split, index):
        if (split, index) == ('val', 1):  # the last of three chunks
            raise KeyboardInterrupt if workers == 1 else RuntimeError
        return write(self, split, index)

    monkeypatch.setattr(COCO, 'write', stop)
    with pytest.raises((KeyboardInterrupt, RuntimeError)):
        generate(job, workers)
    assert json.loads((job.root / 'shapes.json').read_text())['complete'] is False
    assert not (job.root / 'annotations').exists()
    assert not check(job)
    with pytest.raises(UserError, match='other options'):
        generate(job_for(tmp_path / 'a', seed=3))

    made = []
    monkeypatch.setattr(COCO, 'write', lambda *a: made.append(a[1:]) or write(*a))
    progress = []
    generate(job, progress=lambda *values: progress.append(values))
    assert set(made) == {('val', index) for index in range(3)}  # the finished chunks are kept
    assert progress == [(38, 38, 35)]
    assert contents(job.root) == contents(straight.root)


def test_a_dead_worker_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(COCO, 'write', lambda *_: os._exit(9))
    with pytest.raises(UserError, match='worker process died'):
        generate(job_for(tmp_path), workers=2)


def arguments(tmp_path, *more):
    return ['--out', str(tmp_path), '--size', '64', '--min-size', '0.2', '--train', '3',
            '--val', '2', '--workers', '1', *more]  # fmt: skip


def test_command_line_makes_every_task(tmp_path, capsys):
    run(arguments(tmp_path, '--tasks', 'all', '--frames', '5', '--classes', '3'))
    printed = capsys.readouterr()
    for task, form in FORMATS.items():
        manifest = json.loads((tmp_path / form.folder / 'shapes.json').read_text())
        assert manifest['complete'] and manifest['task'] == task
        assert manifest['spec']['classes'] == 3 and manifest['train'] == 3
        assert cv2.imread(str(tmp_path / f'{task}_contact.png')).std() > 20
        assert f"{task}: done, '{tmp_path / form.folder}'" in printed.out
        assert f'{task}: ' in printed.err
    run(arguments(tmp_path, '--tasks', 'seg', 'det', '--classes', '3'))
    assert capsys.readouterr().out.count('complete already') == 2


def test_options_reach_the_jobs():
    line = '--tasks sot cls det --seed 5 --max-objects 3 --max-size 0.4 --min-size 0.3 --frames 9'
    jobs = jobs_from_args(parse_args(line.split()))
    assert [job.task for job in jobs] == ['det', 'cls', 'sot']
    assert [(job.train, job.val) for job in jobs] == [(200, 50), (200, 50), (24, 12)]
    assert {job.seed for job in jobs} == {5}
    assert [job.spec.max_objects for job in jobs] == [3, 1, 3]
    assert [job.spec.frames for job in jobs] == [1, 1, 9]
    assert {(job.spec.min_size, job.spec.max_size) for job in jobs} == {(0.3, 0.4)}


@pytest.mark.parametrize(
    ('more', 'message'),
    [
        (['--workers', '0'], '--workers is 0'),
        (['--seed', '-3'], 'seed is -3'),
        (['--classes', '99'], 'classes of the generated set is 99'),
        (['--tasks', 'all', '--shuffle-labels'], "shuffled for task 'sot'"),
    ],
)
def test_wrong_options_write_nothing(tmp_path, more, message):
    with pytest.raises(UserError, match=message):
        run(arguments(tmp_path / 'out', *more))
    assert not (tmp_path / 'out').exists()


def test_a_conflict_of_the_last_task_stops_the_first(tmp_path):
    run(arguments(tmp_path, '--tasks', 'seg'))
    with pytest.raises(UserError, match='other options'):
        run(arguments(tmp_path, '--tasks', 'det', 'seg', '--seed', '1'))
    assert not (tmp_path / 'coco').exists()


def test_folder_that_cannot_be_written(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(DataError, match="^Cannot write '.*file"):
        run(arguments(tmp_path / 'file' / 'out'))


def test_tool_prints_one_sentence_and_exits_with_2(tmp_path, capsys):
    path = Path(__file__).parents[2] / 'tools' / 'dataset_converters' / 'make_shapes.py'
    spec = importlib.util.spec_from_file_location('make_shapes', path)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.main(arguments(tmp_path)) == 0
    capsys.readouterr()
    assert tool.main(arguments(tmp_path, '--seed', '1')) == 2
    error = capsys.readouterr().err
    assert error.startswith('error: ') and error.count('\n') == 1 and '--force' in error


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_tells_speed_and_time_left(monkeypatch):
    clock = iter([0.0, 4.0, 100.0])
    monkeypatch.setattr('mmlite.datasets.shapes.cli.time.monotonic', lambda: next(clock))
    stream = io.StringIO()
    progress = Progress('det', 'pictures', stream)
    progress(30, 100, 10)  # ten of them are from an earlier run: 20 in 4 s
    progress(35, 100, 10)  # no new tenth: silent
    assert stream.getvalue() == 'det: 30/100 pictures, 5.0/s, 0:00:14 left\n'


def test_progress_on_a_terminal_stays_on_one_line():
    stream = Terminal()
    progress = Progress('det', 'pictures', stream)
    progress(1, 2, 0)
    progress(2, 2, 0)
    assert stream.getvalue().count('\n') == 1 and stream.getvalue().count('\r') == 2


def test_sheet_puts_tiles_in_reading_order():
    tiles = [np.full((40, 50, 3), 20 * n, np.uint8) for n in range(5)]
    sheet = Sheet('title', tiles, columns=3, legend=[('one', (0, 0, 255))]).draw('subtitle')
    assert sheet.shape[1] == 3 * 56 + 6
    top = 56 + 6  # under the header and a gap
    for number in range(5):
        y, x = top + number // 3 * 46, 6 + number % 3 * 56
        assert (sheet[y : y + 40, x : x + 50] == 20 * number).all()
    assert (sheet[:56] < 128).any()  # the title
    assert (sheet == (0, 0, 255)).all(axis=2).sum() > 200  # the legend's swatch


def test_drawings_stay_where_the_annotation_is():
    tile, scale = fit(np.full((50, 100, 3), 200, np.uint8), side=200)
    assert scale == 2 and tile.shape == (200, 200, 3)
    draw_mask(tile, [[20.0, 10, 60, 10, 60, 40, 20, 40]], (50, 100), (0, 0, 255))
    red = tile[..., 2].astype(int) - tile[..., 0]
    assert (red[24:76, 44:116] > 30).all()
    assert (red[:16] == 0).all() and (red[:, :36] == 0).all() and (red[:, 124:] == 0).all()
    assert (red[84:] == 0).all()
    draw_box(tile, (140, 60, 180, 90), (0, 255, 0), 'name')
    green = (tile == (0, 255, 0)).all(axis=2)
    assert green[60:90, 140].all() and green[60, 140:180].all() and not green[95:].any()


def test_palette_is_distinct():
    colors = np.array(palette(16), int)
    distance = np.abs(colors[:, None] - colors[None]).sum(axis=2) + 999 * np.eye(16, dtype=int)
    assert distance.min() > 60
