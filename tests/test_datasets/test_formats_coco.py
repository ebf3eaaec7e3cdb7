"""COCO files: repairs with their counts, refusals, and APs that do not depend on the encoding."""

import copy
import json
import math

import numpy as np
import pytest
import tiny
from mmengine.registry import DefaultScope
from pycocotools import mask as coco_mask

from mmlite.datasets import CocoDataset
from mmlite.datasets.coco import CheckedCOCO
from mmlite.datasets.formats.coco import (
    as_rle,
    decode_counts,
    judge_coco,
    mask_box,
    mask_fault,
)
from mmlite.errors import DataError
from mmlite.evaluation import CocoMetric

CLASSES = ('red', 'green')


def tiny_coco():
    return copy.deepcopy(tiny.coco())  # the list of categories is shared


def judged(data, **options):
    return judge_coco(data, 'file.json', CLASSES, **options)


def changed(change, rows=slice(1, 2)):
    data = tiny_coco()
    for item in data['annotations'][rows]:
        change(item)
    return data


def rle(item, compressed):
    made = as_rle(item['segmentation'], (80, 64))
    if compressed:
        return dict(size=made['size'], counts=made['counts'].decode())
    flat = coco_mask.decode(made).flatten(order='F')
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat, [0]])))
    runs = np.diff(np.concatenate([[0], edges, [len(flat)]])).tolist()
    return dict(size=made['size'], counts=runs)


@pytest.mark.parametrize(
    ('change', 'sentence', 'right'),
    [
        (lambda a: a.pop('iscrowd'), 'had no iscrowd', lambda a: a['iscrowd'] == 0),
        *(
            (lambda a, v=v: a.update(iscrowd=v), 'had no iscrowd', lambda a: a['iscrowd'] == 0)
            for v in (None, '0')
        ),
        (lambda a: a.update(iscrowd='1'), 'had no iscrowd', lambda a: a['iscrowd'] == 1),
        (lambda a: a.update(ignore='0'), 'had no ignore', lambda a: a['ignore'] == 0),
        (lambda a: a.pop('area'), 'had no area', lambda a: a['area'] > 0),
        *(
            (lambda a, v=v: a.update(area=v), 'had no area', lambda a: a['area'] == 576)
            for v in (0, None, '576', [576], True, math.inf, math.nan)
        ),
        (lambda a: a.update(id=a['id'] - 1), 'id 0 is not an integer >= 1', lambda a: a['id'] >= 1),
        (lambda a: a.update(id=-a['id']), 'id -1 is not', lambda a: a['id'] >= 1),
        (lambda a: a.update(id=f'a{a["id"]}'), 'were renumbered', lambda a: a['id'] >= 1),
        (
            lambda a: a.update(category_id=float(a['category_id'])),
            'were floats',
            lambda a: type(a['category_id']) is int,
        ),
    ],
)
def test_repairs_are_counted(change, sentence, right):
    data = changed(change, slice(None))
    faults, repairs = judged(data, masks=True)
    count = len(data['annotations'])
    assert not faults and all(map(right, data['annotations']))
    assert len(repairs) == 1 and sentence in repairs[0] and f'{count} of ' in repairs[0]


def test_a_repaired_area_is_that_of_the_mask():
    data = changed(lambda a: a.update(area=0))
    item = data['annotations'][1]
    judged(data, masks=True)
    mask = coco_mask.decode(as_rle(item['segmentation'], (80, 64)))
    assert item['area'] == mask.sum()
    data = changed(lambda a: a.update(area=0))
    judged(data)
    assert data['annotations'][1]['area'] == np.prod(item['bbox'][2:])


@pytest.mark.parametrize(
    ('mask', 'message'),
    [
        ([], 'no segmentation .1 of'),
        (None, 'no segmentation'),
        ([1, 2, 3, 4, 5, 6], 'flat list'),
        ([[1, 2, 3, 4]], 'polygon of 4 numbers'),
        ([[1, 2, 3, 4, 5, 6, 7]], 'polygon of 7 numbers'),
        ([[1, 2, 3, 4, 5, 'x']], 'not all finite'),
        ([[1, 2, 3, 4, 5, float('nan')]], 'not all finite'),
        (float('nan'), 'neither polygons nor run lengths'),
        (dict(size=[80, 64], counts=[5120]), r'of size \[80, 64\], but its image is 80 x 64'),
        (dict(size=[64, 80], counts=[5119]), 'of 5119 pixels, but its image has 5120'),
        (dict(size=[64, 80]), 'counts are neither'),
        (dict(size=[64, 80], counts=[]), 'of 0 pixels'),
        (dict(size=[64, 80], counts=[5120.0]), 'counts are neither'),
        (dict(size=[64, 80], counts=[8000, -2880]), 'of 5120 pixels'),
        (dict(counts='P5'), 'of size None'),
        (dict(size=[64, 80], counts='é'), 'counts are neither'),
        (dict(size=[64, 80], counts="b'P5'"), 'counts are neither'),
        (dict(size=[64, 80], counts='Ud0h0X1'), 'of 709 pixels'),
        ([[1, 2, 3, 4, 5, 6], dict(size=[64, 80], counts=[5120])], 'flat list'),
        ([[1, 2, 3, 4, 5, 6], []], 'polygon of 0 numbers'),
        ([[[1, 2], [3, 4], [5, 6]]], 'polygon of 3 numbers'),
        ([[0, 0, 1e10, 0, 1e10, 1e10]], 'near the image'),
        ([[-1e10, 0, 1e10, 0, 3, 3]], 'near the image'),
        ([[0, 0, 10**400, 0, 3, 3]], 'near the image'),
        ('1 2 3', 'neither polygons nor'),
    ],
)
def test_wrong_masks_are_faults_where_masks_are_used(mask, message):
    data = changed(lambda a: a.update(segmentation=mask))
    faults, _ = judged(data, masks=True)
    assert [fault.row for fault in faults] == [1]
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(faults[0].reason)
    assert not judged(changed(lambda a: a.update(segmentation=mask)))[0]


@pytest.mark.parametrize('kind', ['counts', 'polygon'])
def test_lengths_and_polygons_are_judged_as_pycocotools_reads_them(kind):
    rng = np.random.default_rng(0)
    for number in range(20):
        mask = np.asfortranarray(rng.random((64, 80)) < rng.random() ** 3, np.uint8)
        if kind == 'counts':
            counts = coco_mask.encode(mask)['counts'].decode()
            runs = decode_counts(counts)
            found = np.repeat(np.arange(len(runs)) % 2, runs).reshape(80, 64).T
            np.testing.assert_array_equal(found, mask)
            assert mask_fault(dict(size=[64, 80], counts=counts), (80, 64)) is None
        else:  # reaches out of the image as far as in real files
            assert mask_fault([(rng.random(6 + 2 * number) * 400 - 160).tolist()], (80, 64)) is None


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda d: d['images'][1].update(id=0), '2 images have the same id 0'),
        (lambda d: d['images'][1].update(file_name='0.png'), 'have the same file_name'),
        (lambda d: d['categories'][1].update(id=1), '2 categories have the same id 1'),
        (lambda d: d['categories'][1].update(name='red'), "2 categories have the same name 'red'"),
        (lambda d: d['images'][1].update(width='80'), "has width '80', which is not an integer"),
        (lambda d: d['images'][1].update(height=None), 'has height None'),
        (lambda d: d['images'][1].update(height=0), 'has height 0'),
        (lambda d: d['images'][1].update(width=80.5), r'image 1 has width 80\.5'),
        (lambda d: d['images'][1].update(width=True), 'has width True'),
        *(
            (lambda d, v=v: d['images'][1].update(file_name=v), 'file_name .* is not a string that')
            for v in (None, 5, '', ['a'])
        ),
        *(
            (lambda d, v=v: d['images'][1].update(id=v), 'has id .* is not an integer or a string')
            for v in (None, 1.5, True, [1], {})
        ),
        (lambda d: d['images'][1].update(id='1'), "all integers or all strings, not '1' and 3"),
        (lambda d: d['categories'][1].update(id='2'), 'ids of categories must be all integers'),
        (lambda d: d['categories'][1].update(name=2), 'category 2 has name 2, which is not'),
        (lambda d: d['categories'][1].update(name='Green'), r"'green' .* \('red', 'Green'\)"),
        (lambda d: d['categories'][1].update(name='green '), r"'green' .* \('red', 'green '\)"),
        (
            lambda d: d['categories'][1].update(supercategory=d['categories'][1].pop('name')),
            "category id 2 has no 'name'",
        ),
        (lambda d: d.update(images=[], annotations=[]), 'it lists no images'),
        (lambda d: d.update(annotations={'1': d['annotations'][0]}), 'is missing or not a list'),
        (lambda d: d.update(images=None), 'images is missing or not a list'),
    ],
)
def test_lists_ids_names_and_sizes_of_a_file_are_sound(change, message):
    data = tiny_coco()
    data['images'][0]['file_name'] = '0.png'
    change(data)
    with pytest.raises(DataError, match=message):
        judged(data)


def test_annotations_that_occur_twice_are_counted():
    data = tiny_coco()
    data['annotations'] += [dict(a, id=a['id'] + 99) for a in data['annotations'][:3]]
    faults, repairs = judged(data)
    assert not faults and len(repairs) == 1 and '3 of 11 annotations repeat another' in repairs[0]


@pytest.mark.parametrize('classes', ['red', ('red', 'red')])
def test_classes_are_a_list_of_different_names(classes):
    with pytest.raises(DataError, match='must be a list of different names, not'):
        judge_coco(tiny_coco(), 'file.json', classes)


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16'])
def test_a_file_may_have_a_byte_order_mark(encoding, tmp_path):
    data = tiny_coco()
    data['images'][0]['file_name'] = 'Bär.png'
    (tmp_path / 'a.json').write_text(json.dumps(data, ensure_ascii=False), encoding=encoding)
    assert CheckedCOCO(str(tmp_path / 'a.json')).imgs[0]['file_name'] == 'Bär.png'


def every(change):
    return changed(change, slice(None))


def test_boxes_as_corners_or_fractions_are_refused():
    def corners(item):
        x, y, w, h = item['bbox']
        item['bbox'] = [x, y, x + w, y + h]

    def fractions(item):
        item['bbox'] = [value / 100 for value in item['bbox']]

    with pytest.raises(DataError, match='boxes'):
        judged(every(corners), masks=True)
    with pytest.raises(DataError, match='within 0 to 1'):
        judged(every(fractions))


def test_extents_of_masks():
    item = tiny_coco()['annotations'][0]
    for mask in (item['segmentation'], rle(item, True), rle(item, False)):
        np.testing.assert_allclose(mask_box(mask, (80, 64)), item['bbox'], atol=1.01)


def truth(file):
    """AP of predictions that equal the polygons of the tiny data set, against a file."""
    data = tiny_coco()
    metric = CocoMetric(ann_file=str(file), metric=['bbox', 'segm'])
    metric.dataset_meta = dict(classes=CLASSES)
    given = json.loads(file.read_text())['images']  # whose ids may have been changed
    for image, number in zip(data['images'], (item['id'] for item in given), strict=True):
        items = [a for a in data['annotations'] if a['image_id'] == image['id']]
        boxes = np.array([a['bbox'] for a in items], float).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        labels = np.array([a['category_id'] - 1 for a in items], int)
        masks = [as_rle(a['segmentation'], (80, 64)) for a in items]
        prediction = dict(img_id=number, bboxes=boxes, labels=labels, masks=masks)
        prediction |= dict(scores=np.ones(len(items)), mask_scores=np.ones(len(items)))
        metric.results.append((dict(image, img_id=number), prediction))
    return metric.compute_metrics(metric.results)


def renumbered(first):
    def change(data):
        for number, item in enumerate(data['annotations']):
            item['id'] = first + number

    return change


def swapped(data):
    for item in data['categories']:
        item['id'] = 3 - item['id']
    for item in data['annotations']:
        item['category_id'] = 3 - item['category_id']


def encoded(compressed):
    def change(data):
        for item in data['annotations']:
            item['segmentation'] = rle(item, compressed)

    return change


def without(key):
    def change(data):
        for item in data['annotations']:
            item.pop(key, None)

    return change


def named(name):
    return lambda data: [item.update(id=name(item)) for item in data['annotations']]


def flagged(value):
    return lambda data: [item.update(iscrowd=value) for item in data['annotations']]


def imaged(name, items='images', key='image_id'):
    def change(data):
        for item in data[items]:
            item['id'] = name(item['id'])
        for item in data['annotations']:
            item[key] = name(item[key])

    return change


def numbered(name):
    return imaged(name, 'categories', 'category_id')


@pytest.mark.parametrize(
    'change',
    [
        lambda data: None, renumbered(0), renumbered(1000), swapped,
        lambda data: data['categories'].reverse(), encoded(True), encoded(False),
        without('iscrowd'), without('area'), named(lambda a: f'a{a["id"]}'),
        named(lambda a: float(a['id'])), named(lambda a: a['id'] - 9), flagged('0'), flagged(None),
        imaged(str), imaged(lambda number: -1 - number), imaged(lambda number: 2**40 + number),
        imaged(lambda number: f'img_{number}'), numbered(str),
        numbered(lambda number: 2**40 - number), lambda data: data.pop('info', None),
    ],
)  # fmt: skip
def test_a_perfect_detector_has_an_ap_of_1_whatever_the_file_is_like(change, tmp_path):
    data = tiny_coco()
    change(data)
    file = tmp_path / 'val.json'
    file.write_text(json.dumps(data))
    metrics = truth(file)
    assert metrics['bbox_mAP'] == metrics['segm_mAP'] == 1


@pytest.mark.parametrize('compressed', [None, True, False])
def test_polygons_and_run_lengths_are_learned_alike(compressed, tmp_path):
    data = tiny_coco()
    if compressed is not None:
        encoded(compressed)(data)
    tiny.write_coco(tmp_path, 'x')
    file = tmp_path / 'train.json'
    file.write_text(json.dumps(data))
    steps = [
        dict(type='mmlite.LoadImageFromFile'),
        dict(type='LoadAnnotations', with_bbox=True, with_mask=True, poly2mask=False),
        dict(type='PackDetInputs'),
    ]
    with DefaultScope.overwrite_default_scope('mmdet'):
        dataset = CocoDataset(
            ann_file=str(file), data_prefix=dict(img=str(tmp_path / 'x')), pipeline=steps,
            metainfo=dict(classes=CLASSES),
        )  # fmt: skip
        samples = [dataset[index]['data_samples'] for index in range(len(dataset))]
    expected = [a for a in tiny_coco()['annotations'] if not a.get('iscrowd')]
    masks = [mask for s in samples for mask in s.gt_instances.masks.to_ndarray()]
    assert len(masks) == len(expected)
    for mask, item in zip(masks, expected, strict=True):
        polygon = coco_mask.decode(as_rle(item['segmentation'], (80, 64)))
        np.testing.assert_array_equal(mask, polygon)


def test_a_reader_repairs_and_warns(tmp_path, capfd):
    file = tmp_path / 'a.json'
    file.write_text(json.dumps(changed(lambda a: a.pop('iscrowd'), slice(None))))
    CheckedCOCO(str(file), CLASSES)
    output = capfd.readouterr()
    assert 'had no iscrowd as a number, now 0 or 1' in output.out + output.err
