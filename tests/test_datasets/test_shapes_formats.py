"""COCO, ImageNet and ADE20K sets against their scenes."""

import contextlib
import io
import json

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from mmlite.datasets.shapes import CLUTTER, STUFF, Job, generate, render, task_spec
from mmlite.datasets.shapes.formats import FORMATS
from mmlite.datasets.shapes.masks import encode_segmentation, run_lengths, tight_box

COUNTS = {'train': 26, 'val': 13}


def make(tmp_path_factory, task, **options):
    """A finished set with 5 classes (seed 4) and its job."""
    root = tmp_path_factory.mktemp('set') / FORMATS[task].folder
    spec = task_spec(task, size=112, classes=5, max_aspect=1.5, **options)
    job = Job(task, root, spec, seed=4, **COUNTS)
    assert generate(job)
    return job


def read_coco(job, split):
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(job.root / 'annotations' / f'instances_{split}2017.json'))


def iou(first, second):
    return (first & second).sum() / (first | second).sum()


def disc(size=60, radius=20):
    y, x = np.mgrid[:size, :size]
    return (x - 29.5) ** 2 + (y - 29.5) ** 2 < radius**2


def masks():
    ring = disc() & ~disc(radius=9)
    parts = np.zeros((40, 50), bool)
    parts[5:15, 5:15] = parts[20:38, 30:50] = True
    full = np.ones((9, 7), bool)
    pixel = np.zeros((8, 8), bool)
    pixel[7, 7] = True
    line = np.zeros((20, 20), bool)
    line[3, 4:16] = True
    noise = np.random.default_rng(0).random((30, 30)) < 0.5
    first = np.zeros((6, 5), bool)
    first[0, 0] = True
    return {
        'disc': (disc(), 1),
        'ring': (ring, 'runs'),
        'two parts': (parts, 2),
        'full': (full, 1),
        'pixel': (pixel, None),
        'line': (line, None),
        'noise': (noise, 'runs'),
        'first pixel': (first, None),
    }


@pytest.mark.parametrize(('mask', 'kind'), masks().values(), ids=masks())
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


@pytest.mark.parametrize('density', [0.0, 0.1, 0.9, 1.0])
def test_run_lengths(density):
    mask = np.random.default_rng(1).random((17, 23)) < density
    runs = run_lengths(mask)
    assert sum(runs['counts']) == mask.size and runs['size'] == [17, 23]
    decoded = coco_mask.decode(coco_mask.frPyObjects(runs, 17, 23))
    np.testing.assert_array_equal(decoded.view(bool), mask)


def test_tight_box():
    mask = np.zeros((20, 30), bool)
    mask[4:9, 10] = mask[6, 7:13] = True
    assert tight_box(mask) == [7, 4, 6, 5]


@pytest.fixture(scope='module')
def coco_job(tmp_path_factory):
    return make(tmp_path_factory, 'det')


@pytest.mark.parametrize('split', ['train', 'val'])
def test_coco_annotations_are_the_rendered_objects(coco_job, split):
    coco = read_coco(coco_job, split)
    assert sorted(coco.imgs) == list(range(1, COUNTS[split] + 1))
    assert sorted(coco.anns) == list(range(1, len(coco.anns) + 1))
    assert [c['name'] for c in coco.loadCats([1, 2, 3, 4, 5])] == list(coco_job.spec.class_names)
    kinds = set()
    for image_id, image in coco.imgs.items():
        assert image['file_name'] == f'{image_id:012d}.jpg'
        scene = coco_job.scene(split, image_id - 1)
        rendering = render(scene)
        stored = cv2.imread(str(coco_job.root / f'{split}2017' / image['file_name']))
        assert stored.shape == (image['height'], image['width'], 3) == rendering.image.shape
        assert np.abs(stored[..., ::-1].astype(int) - rendering.image).mean() < 12  # JPEG
        things = [n for n, o in enumerate(scene.instances) if o.label != CLUTTER]
        annotations = coco.imgToAnns[image_id]
        assert [a['category_id'] - 1 for a in annotations] == [
            scene.instances[n].label for n in things
        ]
        for number, annotation in zip(things, annotations, strict=True):
            visible, read = rendering.mask(number), coco.annToMask(annotation).view(bool)
            assert iou(visible, read) > 0.98
            x, y, w, h = annotation['bbox']
            rows, cols = np.nonzero(visible)
            assert (x, y) == (cols.min(), rows.min())
            assert (x + w, y + h) == (cols.max() + 1, rows.max() + 1)
            assert annotation['area'] == visible.sum() and annotation['iscrowd'] == 0
            polygon = isinstance(annotation['segmentation'], list)
            kinds.add(polygon)
            if not polygon:
                np.testing.assert_array_equal(visible, read)
    assert True in kinds


def test_coco_holes_are_run_lengths(tmp_path_factory):
    """A set with rings (class 6) has masks with holes; they are exact run-length encodings."""
    root = tmp_path_factory.mktemp('rings') / 'coco'
    job = Job('det', root, task_spec('det', size=112, classes=6), train=30, val=1)
    generate(job)
    coco = read_coco(job, 'train')
    rings = [a for a in coco.anns.values() if a['category_id'] == 6]
    encoded = [a for a in rings if isinstance(a['segmentation'], dict)]
    assert len(encoded) > 0.5 * len(rings) > 3
    assert all(coco.annToMask(a).sum() == a['area'] for a in encoded)


def test_coco_file_has_the_official_sections(coco_job):
    data = json.loads((coco_job.root / 'annotations' / 'instances_train2017.json').read_text())
    assert set(data) == {'info', 'licenses', 'images', 'annotations', 'categories'}
    keys = {'id', 'image_id', 'category_id', 'segmentation', 'area', 'bbox', 'iscrowd'}
    assert all(set(annotation) == keys for annotation in data['annotations'])


def test_imagenet_folders(tmp_path_factory):
    job = make(tmp_path_factory, 'cls')
    for split, count in COUNTS.items():
        files = sorted((job.root / split).rglob('*.JPEG'))
        assert len(files) == count
        assert {f.parent.name for f in files} == set(job.spec.class_names)
        per_class = [len(list((job.root / split / n).iterdir())) for n in job.spec.class_names]
        assert max(per_class) - min(per_class) <= 1
        for file in files:
            name, number = file.stem.rsplit('_', 1)
            scene = job.scene(split, int(number) - 1)
            labels = [i.label for i in scene.instances if i.label != CLUTTER]
            assert [job.spec.class_names[label] for label in labels] == [name] == [file.parent.name]
        scene = job.scene(split, 0)
        assert scene.instances[-1].pose.size > 0.25 * job.spec.size


@pytest.fixture(scope='module')
def ade_job(tmp_path_factory):
    return make(tmp_path_factory, 'seg')


def ade_pairs(job, split):
    base = job.root / 'ADEChallengeData2016'
    folder = {'train': 'training', 'val': 'validation'}[split]
    pngs = sorted((base / 'annotations' / folder).iterdir())
    jpgs = sorted((base / 'images' / folder).iterdir())
    assert [p.stem for p in pngs] == [j.stem for j in jpgs]
    assert [p.name for p in pngs] == [f'ADE_{split}_{i:08d}.png' for i in range(1, len(pngs) + 1)]
    for jpg, png in zip(jpgs, pngs, strict=True):
        yield cv2.imread(str(jpg)), cv2.imread(str(png), cv2.IMREAD_UNCHANGED)


def test_ade_label_maps(ade_job):
    classes = len(STUFF) + 5
    seen = np.zeros(classes + 1, int)
    for split, count in COUNTS.items():
        pairs = list(ade_pairs(ade_job, split))
        assert len(pairs) == count
        for index, (image, labels) in enumerate(pairs):
            assert labels.dtype == np.uint8 and labels.shape == image.shape[:2]
            scene = ade_job.scene(split, index)
            rendering = render(scene)
            expected = rendering.stuff + 1
            for number, instance in enumerate(scene.instances):
                label = 0 if instance.label == CLUTTER else len(STUFF) + 1 + instance.label
                expected[rendering.mask(number)] = label
            np.testing.assert_array_equal(labels, expected)
            seen += np.bincount(labels.ravel(), minlength=classes + 1)
    assert (seen > 0).all()
    assert seen[0] < 0.05 * seen.sum()  # 'other' is there, but small


def test_ade_object_info(ade_job):
    path = ade_job.root / 'ADEChallengeData2016' / 'objectInfo9.txt'
    rows = [line.split('\t') for line in path.read_text().splitlines()]
    assert rows[0] == ['Idx', 'Ratio', 'Train', 'Val', 'Stuff', 'Name']
    names = [*STUFF, *ade_job.spec.class_names]
    assert [row[5] for row in rows[1:]] == names
    assert [row[4] for row in rows[1:]] == ['1'] * len(STUFF) + ['0'] * 5
    maps = {split: [labels for _, labels in ade_pairs(ade_job, split)] for split in COUNTS}
    everything = np.concatenate([labels.ravel() for split in maps.values() for labels in split])
    for number, row in enumerate(rows[1:], 1):
        assert int(row[0]) == number
        assert float(row[1]) == pytest.approx((everything == number).mean(), abs=1e-4)
        assert int(row[2]) == sum((labels == number).any() for labels in maps['train'])
        assert int(row[3]) == sum((labels == number).any() for labels in maps['val'])
