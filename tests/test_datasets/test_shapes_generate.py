"""Generating sets: determinism, resuming, refusing, the command line and the contact sheet."""

import json
import os
import runpy
from pathlib import Path

import cv2
import numpy as np
import pytest
from run_tool import TOOLS, run_tool

from mmlite.datasets.shapes import Job, check, contact_path, generate, task_spec
from mmlite.datasets.shapes.formats import COCO, FORMATS
from mmlite.errors import OutputError, UserError

TASKS = tuple(FORMATS)
MAKE = 'dataset_converters/make_shapes'


def job_for(folder, task='det', **options):
    """A small job, in ``folder``."""
    spec = task_spec(task, size=64, min_size=0.2, classes=4, frames=13)
    counts = {'train': 3, 'val': 2} if task in ('sot', 'got') else {'train': 20, 'val': 3}
    return Job(task, folder / FORMATS[task].folder, spec, **{**counts, **options})


def contents(root):
    """Relative path -> bytes of every file."""
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob('*') if p.is_file()}


def annotations(job, split='train'):
    return json.loads((job.root / 'annotations' / f'instances_{split}2017.json').read_text())


@pytest.fixture(scope='module')
def sets(tmp_path_factory):
    """Job of a finished set of each task, read-only."""
    jobs = {task: job_for(tmp_path_factory.mktemp('sets'), task) for task in TASKS}
    assert all(generate(job) for job in jobs.values())
    return jobs


@pytest.mark.parametrize('task', TASKS)
def test_files_do_not_depend_on_the_number_of_processes(tmp_path, sets, task):
    job = job_for(tmp_path, task)
    assert generate(job, workers=2)
    files = contents(sets[task].root)
    assert files == contents(job.root)
    assert contact_path(sets[task]).read_bytes() == contact_path(job).read_bytes()
    assert json.loads(files['shapes.json'])['complete'] is True
    assert not [name for name in files if Path(name).name.startswith('.')]


@pytest.mark.parametrize('task', TASKS)
def test_a_longer_set_begins_with_the_shorter_one_and_a_seed_changes_all_images(
    tmp_path, sets, task
):
    short, other = job_for(tmp_path / 's', task, train=2), job_for(tmp_path / 'o', task, seed=1)
    generate(short)
    generate(other)
    of_all = ('shapes.json', 'objectInfo8.txt', 'training_set.txt', 'list.txt')
    longer = contents(sets[task].root)
    assert len(longer) > len(contents(short.root))
    for name, data in contents(short.root).items():
        if not name.endswith((*of_all, 'instances_train2017.json')):
            assert longer[name] == data, name
    images = [
        {data for name, data in files.items() if name.lower().endswith(('jpg', 'jpeg'))}
        for files in (longer, contents(other.root))
    ]
    assert not images[0] & images[1]


def test_annotations_of_a_longer_set_begin_with_the_shorter_ones(tmp_path, sets):
    job = job_for(tmp_path, train=5)
    generate(job)
    short, long = annotations(job), annotations(sets['det'])
    assert long['images'][:5] == short['images']
    assert long['annotations'][: len(short['annotations'])] == short['annotations']


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
    data = [annotations(true), annotations(false)]
    categories = [[a.pop('category_id') for a in d['annotations']] for d in data]
    assert data[0] == data[1]
    agreement = np.mean(np.array(categories[0]) == np.array(categories[1]))
    assert 0.1 < agreement < 0.4  # four classes: chance is 0.25
    assert set(categories[1]) == {1, 2, 3, 4}


def test_shuffled_imagenet_moves_images_only(tmp_path):
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
    assert len(changed) > 12
    for name in changed:
        a, b = (cv2.imread(str(job.root / name), cv2.IMREAD_UNCHANGED) for job in (true, false))
        for label in np.unique(a):  # a kind of stuff gets one label of stuff, clutter stays 0
            values = np.unique(b[a == label])
            if 1 <= label <= 4:
                assert len(values) == 1 and 1 <= values[0] <= 4
            else:
                assert (values == 0).all() if label == 0 else (values > 4).all()


@pytest.mark.parametrize(
    ('task', 'options', 'message'),
    [
        ('sot', {'shuffle_labels': True}, "shuffled for task 'sot'"),
        ('det', {'seed': -1}, 'seed of the generated set is -1; it must be >= 0'),
        ('det', {'train': 0}, 'train of the generated set is 0; it must be >= 1'),
    ],
)
def test_job_refuses(tmp_path, task, options, message):
    with pytest.raises(UserError, match=message):
        job_for(tmp_path, task, **options)


def test_complete_set_is_left_alone(sets):
    root = sets['det'].root.parent
    times = {p: p.stat().st_mtime_ns for p in root.rglob('*')}
    assert check(sets['det'])
    assert generate(sets['det']) is False
    assert times == {p: p.stat().st_mtime_ns for p in root.rglob('*')}


def test_other_options_are_refused_unless_forced(tmp_path):
    generate(job_for(tmp_path))
    before = contents(tmp_path)
    other = job_for(tmp_path, seed=7, train=2)
    with pytest.raises(UserError, match='seed: 0 != 7, train: 20 != 2.*--force'):
        generate(other)
    assert contents(tmp_path) == before
    notes = other.root / 'notes.txt'
    notes.write_text('mine')
    for _ in range(2):  # of a complete set, too
        assert generate(other, force=True)
    assert len(list((other.root / 'train2017').iterdir())) == 2
    assert notes.read_text() == 'mine'
    clean = job_for(tmp_path / 'clean', seed=7, train=2)
    generate(clean)
    notes.unlink()
    assert contents(other.root) == contents(clean.root)


@pytest.mark.parametrize('force', [False, True])
@pytest.mark.parametrize('name', ['annotations/instances_train2017.json', 'shapes.json'])
def test_foreign_directories_are_never_touched(tmp_path, name, force):
    job = job_for(tmp_path)
    path = job.root / name
    path.parent.mkdir(parents=True)
    path.write_text('["real COCO"]')
    with pytest.raises(UserError, match='choose another output directory'):
        generate(job, force=force)
    assert contents(tmp_path) == {f'coco/{name}': b'["real COCO"]'}


@pytest.mark.parametrize('workers', [1, 2])
def test_stopped_run_is_not_complete_and_goes_on(tmp_path, monkeypatch, sets, workers):
    job = job_for(tmp_path)
    write = COCO.write

    def stop(self, split, index):
        if (split, index) == ('val', 1):
            raise KeyboardInterrupt if workers == 1 else RuntimeError
        return write(self, split, index)

    monkeypatch.setattr(COCO, 'write', stop)
    with pytest.raises((KeyboardInterrupt, RuntimeError)):
        generate(job, workers)
    assert json.loads((job.root / 'shapes.json').read_text())['complete'] is False
    assert not (job.root / 'annotations').exists()
    assert not check(job)
    with pytest.raises(UserError, match='other options'):
        generate(job_for(tmp_path, seed=3))
    log = job.root / '.items.jsonl'
    lines = log.read_text().splitlines()
    assert len(lines) > 15
    log.write_text('\n'.join(lines[:12]) + '\n' + lines[12][:20])  # killed within a line

    new = []
    monkeypatch.setattr(COCO, 'write', lambda *a: new.append(a[1:]) or write(*a))
    generate(job)
    assert len(new) == 23 - 12 and not {('train', index) for index in range(12)} & {*new}
    assert contents(job.root) == contents(sets['det'].root)


def test_a_dead_worker_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(COCO, 'write', lambda *_: os._exit(9))
    with pytest.raises(UserError, match='worker process died'):
        generate(job_for(tmp_path), workers=2)


def test_directory_that_cannot_be_written(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(OutputError, match='cannot write .*file'):
        generate(job_for(tmp_path / 'file'))


def arguments(tmp_path, *more):
    return ['--out', tmp_path, '--size', 64, '--min-size', 0.2, '--train', 3, '--val', 2,
            '--workers', 1, *more]  # fmt: skip


def test_command_line_generates_every_task(tmp_path, capsys):
    assert run_tool(MAKE, *arguments(tmp_path, '--tasks', 'all', '--frames', 5)) == 0
    printed = capsys.readouterr()
    for task, form in FORMATS.items():
        manifest = json.loads((tmp_path / form.folder / 'shapes.json').read_text())
        assert manifest['complete'] and manifest['task'] == task
        assert manifest['classes'] == 12 and manifest['train'] == 3
        assert cv2.imread(str(tmp_path / f'{task}_contact.png')).std() > 20
        assert f"{task}: done, '{tmp_path / form.folder}'" in printed.out
        assert f'{task}: ' in printed.err
    assert run_tool(MAKE, *arguments(tmp_path, '--tasks', 'seg', 'det')) == 0
    assert capsys.readouterr().out.count('complete already') == 2


def test_options_reach_the_jobs():
    tool = runpy.run_path(str(TOOLS / f'{MAKE}.py'))
    line = '--tasks sot cls det --seed 5 --max-objects 3 --max-size 0.4 --min-size 0.3 --frames 9'
    jobs = tool['jobs_from_args'](tool['parse_args'](line.split()))
    assert [job.task for job in jobs] == ['det', 'cls', 'sot']
    assert [(job.train, job.val) for job in jobs] == [(200, 50), (200, 50), (24, 12)]
    assert {job.seed for job in jobs} == {5}
    assert [job.spec.max_objects for job in jobs] == [3, 1, 3]
    assert [job.spec.frames for job in jobs] == [1, 1, 9]
    assert {(job.spec.min_size, job.spec.max_size) for job in jobs} == {(0.3, 0.4)}


def test_a_wrong_option_or_a_conflict_writes_nothing(tmp_path, capsys):
    assert run_tool(MAKE, *arguments(tmp_path, '--classes', 99)) == 2
    assert 'classes of the generated set is 99' in capsys.readouterr().err
    assert not any(tmp_path.iterdir())
    run_tool(MAKE, *arguments(tmp_path, '--tasks', 'seg'))
    capsys.readouterr()
    assert run_tool(MAKE, *arguments(tmp_path, '--tasks', 'det', 'seg', '--seed', 1)) == 2
    error = capsys.readouterr().err
    assert error.startswith('error: ') and error.count('\n') == 1 and '--force' in error
    assert not (tmp_path / 'coco').exists()


def test_contact_sheet_shows_the_images_under_their_classes(sets):
    sheet = cv2.imread(str(contact_path(sets['cls'])))[..., ::-1]
    assert sheet.shape[1] == 3 * 64 + 4 * 6  # three images and four gaps
    image = cv2.imread(str(next((sets['cls'].root / 'val').rglob('*_00000001.JPEG'))))[..., ::-1]
    tile = sheet[52 : 52 + 64, 6 : 6 + 64].astype(int)
    close = (np.abs(tile - image) < 40).all(axis=2)
    assert 0.6 < close.mean() < 1  # all but the outlines and boxes
