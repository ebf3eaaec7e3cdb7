"""Generated sets: determinism, resuming, refusing, the command line, and files against scenes."""

import contextlib
import io
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO as CocoFile
from run_tool import run_tool

from mmlite.datasets.shapes import CLUTTER, STUFF, Job, check, generate, render, task_spec
from mmlite.datasets.shapes.formats import COCO, FORMATS
from mmlite.datasets.shapes.masks import encode_segmentation
from mmlite.errors import OutputError, UserError

TASKS = tuple(FORMATS)
MAKE = 'dataset_converters/make_shapes'


def job_for(folder, task='det', **options):
    """A small job, in ``folder``."""
    spec = task_spec(task, size=80, min_size=0.2, classes=6, frames=13, max_aspect=1.5)
    counts = {'train': 3, 'val': 2} if task in ('sot', 'got') else {'train': 24, 'val': 12}
    return Job(task, folder / FORMATS[task].folder, spec, **{**counts, **options})


def contents(root):
    """Relative path -> bytes of every file."""
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob('*') if p.is_file()}


def annotations(job):
    return json.loads((job.root / 'annotations/instances_train2017.json').read_text())


def decode(data):
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


@pytest.fixture(scope='module')
def sets(tmp_path_factory):
    """Job of a finished set of each task, read-only."""
    jobs = {task: job_for(tmp_path_factory.mktemp('sets'), task) for task in TASKS}
    assert all(generate(job) for job in jobs.values())
    return jobs


# ---- generation ------------------------------------------------------------------------------


@pytest.mark.parametrize('task', TASKS)
def test_files_do_not_depend_on_the_number_of_processes(tmp_path, sets, task):
    job = job_for(tmp_path, task)
    assert generate(job, workers=2)
    files = contents(tmp_path)
    assert files == contents(sets[task].root.parent) and f'{task}_contact.png' in files
    assert json.loads((job.root / 'shapes.json').read_text())['complete'] is True
    assert not [name for name in files if Path(name).name.startswith('.')]


@pytest.mark.parametrize('task', TASKS)
def test_a_longer_set_begins_with_the_shorter_one_and_a_seed_changes_all_images(
    tmp_path, sets, task
):
    short, other = job_for(tmp_path / 's', task, train=2), job_for(tmp_path / 'o', task, seed=1)
    generate(short)
    generate(other)
    of_all = 'shapes.json', 'objectInfo10.txt', 'ing_set.txt', 'list.txt', 'train2017.json'
    longer, items = contents(sets[task].root), contents(short.root)
    items = {name: data for name, data in items.items() if not name.endswith(of_all)}
    assert len(longer) > len(items) > 4 and items.items() <= longer.items()
    if task == 'det':
        first, whole = annotations(short), annotations(sets['det'])
        for key in ('images', 'annotations'):
            assert whole[key][: len(first[key])] == first[key]
    images = [
        {data for name, data in files.items() if name.lower().endswith(('jpg', 'jpeg'))}
        for files in (longer, contents(other.root))
    ]
    assert not images[0] & images[1]


def shuffled(tmp_path, sets, task):
    """Contents of the true set and of the one with shuffled labels, and the files that differ."""
    job = job_for(tmp_path, task, shuffle_labels=True)
    generate(job)
    one, two = contents(sets[task].root), contents(job.root)
    return one, two, {name for name in one if one[name] != two.get(name)}


def test_shuffled_coco_changes_categories_only(tmp_path, sets):
    one, two, changed = shuffled(tmp_path, sets, 'det')
    train, val = (f'annotations/instances_{split}2017.json' for split in ('train', 'val'))
    assert one.keys() == two.keys() and changed == {'shapes.json', train, val}
    data = [json.loads(files[train]) for files in (one, two)]
    true, false = (np.array([a.pop('category_id') for a in d['annotations']]) for d in data)
    assert data[0] == data[1]
    assert 0.06 < np.mean(true == false) < 0.28  # six classes: chance is 0.17
    assert set(false) == {1, 2, 3, 4, 5, 6}


def test_shuffled_ade_changes_label_maps_only(tmp_path, sets):
    one, two, changed = shuffled(tmp_path, sets, 'seg')
    assert one.keys() == two.keys()
    assert not [name for name in changed if name.endswith('.jpg')]
    changed = [name for name in changed if name.endswith('.png')]
    assert len(changed) > 20
    for name in changed:
        a, b = (decode(files[name]) for files in (one, two))
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


def test_other_options_are_refused_unless_forced(tmp_path):
    generate(job_for(tmp_path))
    before = contents(tmp_path)
    other = job_for(tmp_path, seed=7, train=2)
    with pytest.raises(UserError, match='seed: 0 != 7, train: 24 != 2.*--force'):
        generate(other)
    assert contents(tmp_path) == before
    notes = other.root / 'notes.txt'
    notes.write_text('mine')
    for _ in range(2):  # of a complete set, too
        assert generate(other, force=True)
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
    assert not (job.root / 'annotations').exists() and not check(job)
    with pytest.raises(UserError, match='other options'):
        generate(job_for(tmp_path, seed=3))
    log = job.root / '.items.jsonl'
    lines = log.read_text().strip().splitlines()
    assert len(lines) > 15
    log.write_text('\n'.join(lines[:12]) + '\n' + lines[12][:20])  # killed within a line

    new = []
    monkeypatch.setattr(COCO, 'write', lambda *a: new.append(a[1:]) or write(*a))
    generate(job)
    assert len(new) == 36 - 12 and not {('train', index) for index in range(12)} & {*new}
    assert contents(job.root) == contents(sets['det'].root)


def test_a_dead_worker_and_an_unwritable_directory_are_reported(tmp_path, monkeypatch):
    (tmp_path / 'file').write_text('')
    with pytest.raises(OutputError, match='cannot write .*file'):
        generate(job_for(tmp_path / 'file'))
    monkeypatch.setattr(COCO, 'write', lambda *_: os._exit(9))
    with pytest.raises(UserError, match='worker process died'):
        generate(job_for(tmp_path), workers=2)


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
    sheet = cv2.imread(str(tmp_path / 'cls_contact.png'))
    assert sheet.shape[1] == 2 * 64 + 3 * 6  # two images and three gaps
    image = cv2.imread(str(next((tmp_path / 'imagenet/val').rglob('*_00000001.JPEG'))))
    tile = sheet[52 : 52 + 64, 6 : 6 + 64].astype(int)
    close = (np.abs(tile - image) < 40).all(axis=2)
    assert 0.6 < close.mean() < 1  # all but the outlines and boxes


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


# ---- formats ---------------------------------------------------------------------------------


def iou(first, second):
    return (first & second).sum() / (first | second).sum()


def disc(radius=20):
    y, x = np.mgrid[:60, :60]
    return (x - 29.5) ** 2 + (y - 29.5) ** 2 < radius**2


def filled(shape, *windows):
    mask = np.zeros(shape, bool)
    for window in windows:
        mask[window] = True
    return mask


MASKS = {
    'disc': (disc(), 1),
    'ring': (disc() & ~disc(9), 'runs'),
    'around a disc': (~disc(), 'runs'),
    'two parts': (filled((40, 50), np.s_[5:15, 5:15], np.s_[20:38, 30:50]), 2),
    'full': (np.ones((9, 7), bool), 1),
    'pixel': (filled((8, 8), (7, 7)), None),
    'line': (filled((20, 20), np.s_[3, 4:16]), None),
    'noise': (np.random.default_rng(0).random((30, 30)) < 0.5, 'runs'),
    'first pixel': (filled((6, 5), (0, 0)), None),
}


@pytest.mark.parametrize(('mask', 'kind'), MASKS.values(), ids=MASKS)
def test_segmentation_gives_the_mask_back(mask, kind):
    segmentation = encode_segmentation(mask)
    runs = coco_mask.frPyObjects(segmentation, *mask.shape)
    if isinstance(segmentation, dict):
        assert kind in ('runs', None)
        np.testing.assert_array_equal(coco_mask.decode(runs).view(bool), mask)
    else:
        assert kind in (len(segmentation), None)
        assert all(len(p) >= 6 and len(p) % 2 == 0 for p in segmentation)
        assert iou(coco_mask.decode(coco_mask.merge(runs)).view(bool), mask) > 0.98
        flat = np.concatenate(segmentation)
        assert flat.min() >= 0 and flat.max() <= max(mask.shape)


def test_coco_annotations_are_the_rendered_objects(sets):
    """Masks with holes, as of rings, are exact run-length encodings, others polygons."""
    job = sets['det']
    with contextlib.redirect_stdout(io.StringIO()):
        coco = CocoFile(str(job.root / 'annotations/instances_train2017.json'))
    assert set(coco.dataset) == {'info', 'licenses', 'images', 'annotations', 'categories'}
    assert list(coco.imgs) == list(range(1, 25))
    assert list(coco.anns) == list(range(1, len(coco.anns) + 1))
    assert [c['name'] for c in coco.loadCats([1, 2, 3, 4, 5, 6])] == list(job.spec.class_names)
    keys = {'id', 'image_id', 'category_id', 'segmentation', 'area', 'bbox', 'iscrowd'}
    for image_id, image in coco.imgs.items():
        assert image['file_name'] == f'{image_id:012d}.jpg'
        scene = job.scene('train', image_id - 1)
        rendering = render(scene)
        stored = cv2.imread(str(job.root / 'train2017' / image['file_name']))
        assert stored.shape == (image['height'], image['width'], 3) == rendering.image.shape
        assert np.abs(stored[..., ::-1].astype(int) - rendering.image).mean() < 12  # JPEG
        things = [n for n, o in enumerate(scene.instances) if o.label != CLUTTER]
        for number, annotation in zip(things, coco.imgToAnns[image_id], strict=True):
            assert set(annotation) == keys and annotation['iscrowd'] == 0
            assert annotation['category_id'] - 1 == scene.instances[number].label
            visible, read = rendering.mask(number), coco.annToMask(annotation).view(bool)
            is_exact = isinstance(annotation['segmentation'], dict)
            assert iou(visible, read) > (0.9999 if is_exact else 0.98)
            rows, cols = np.nonzero(visible)
            x, y, width, height = cols.min(), rows.min(), np.ptp(cols) + 1, np.ptp(rows) + 1
            assert annotation['bbox'] == [x, y, width, height]
            assert annotation['area'] == visible.sum()
    exact = [isinstance(a['segmentation'], dict) for a in coco.anns.values()]
    rings = [a['category_id'] == 6 for a in coco.anns.values()]
    assert np.mean(np.array(exact)[rings]) > 0.5 and sum(rings) > 3 and not all(exact)


def test_imagenet_folders(sets):
    job = sets['cls']
    for split, count in {'train': 24, 'val': 12}.items():
        files = sorted((job.root / split).rglob('*.JPEG'))
        assert len(files) == count
        per_class = [len(list((job.root / split / n).iterdir())) for n in job.spec.class_names]
        assert per_class == [count // 6] * 6
        for file in files:
            name, number = file.stem.rsplit('_', 1)
            scene = job.scene(split, int(number) - 1)
            labels = [i.label for i in scene.instances if i.label != CLUTTER]
            assert [job.spec.class_names[label] for label in labels] == [name] == [file.parent.name]
        assert job.scene(split, 0).instances[-1].pose.size > 0.25 * job.spec.size


def test_ade_label_maps_and_object_info(sets):
    job, maps = sets['seg'], {'train': [], 'val': []}
    base = job.root / 'ADEChallengeData2016'
    for split, folder, count in (('train', 'training', 24), ('val', 'validation', 12)):
        files = {
            kind: sorted((base / kind / folder).iterdir()) for kind in ('images', 'annotations')
        }
        names = [f'ADE_{split}_{number:08d}' for number in range(1, count + 1)]
        assert [path.name for path in files['images']] == [f'{name}.jpg' for name in names]
        assert [path.name for path in files['annotations']] == [f'{name}.png' for name in names]
        for index, path in enumerate(files['annotations']):
            labels, scene = decode(path.read_bytes()), job.scene(split, index)
            rendering = render(scene)
            expected = rendering.stuff + 1
            for number, instance in enumerate(scene.instances):
                label = 0 if instance.label == CLUTTER else len(STUFF) + 1 + instance.label
                expected[rendering.mask(number)] = label
            np.testing.assert_array_equal(labels, expected)
            assert decode(files['images'][index].read_bytes()).shape == (*labels.shape, 3)
            maps[split].append(labels)
    pixels = np.concatenate([labels.ravel() for split in maps.values() for labels in split])
    shares = np.bincount(pixels, minlength=11) / len(pixels)
    assert len(shares) == 11 and (shares > 0).all()
    assert shares[0] < 0.05  # 'other' occurs, but is rare
    lines = (base / 'objectInfo10.txt').read_text().splitlines()
    head, *rows = (line.split('\t') for line in lines)
    assert head == ['Idx', 'Ratio', 'Train', 'Val', 'Stuff', 'Name']
    for number, name in enumerate((*STUFF, *job.spec.class_names), 1):
        index, share, *shown, stuff, found = rows[number - 1]
        assert (index, stuff, found) == (str(number), str(int(name in STUFF)), name)
        assert shown == [str(sum((each == number).any() for each in maps[s])) for s in maps]
        assert float(share) == pytest.approx(shares[number], abs=1e-4)
    assert len(rows) == 10
