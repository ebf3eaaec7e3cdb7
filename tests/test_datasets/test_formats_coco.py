"""COCO files: repairs with their counts, refusals, and APs that do not depend on the encoding."""

import copy
import json

import numpy as np
import pytest
import tiny
from mmengine.registry import DefaultScope
from pycocotools import mask as coco_mask

from mmlite.datasets import CocoDataset
from mmlite.datasets.coco import CheckedCOCO
from mmlite.datasets.formats.coco import as_rle, judge_coco, mask_box
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
        (lambda a: a.pop('area'), 'had no area', lambda a: a['area'] > 0),
        (lambda a: a.update(area=0), 'had no area', lambda a: a['area'] > 0),
        (lambda a: a.update(area=None), 'had no area', lambda a: a['area'] > 0),
        (lambda a: a.update(id=a['id'] - 1), 'id 0 is not >= 1', lambda a: a['id'] >= 1),
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
    ],
)
def test_wrong_masks_are_faults_where_masks_are_used(mask, message):
    data = changed(lambda a: a.update(segmentation=mask))
    faults, _ = judged(data, masks=True)
    assert [fault.row for fault in faults] == [1]
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(faults[0].reason)
    assert not judged(changed(lambda a: a.update(segmentation=mask)))[0]


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
    ],
)
def test_ids_names_and_sizes_of_a_file_are_sound(change, message):
    data = tiny_coco()
    data['images'][0]['file_name'] = '0.png'
    change(data)
    with pytest.raises(DataError, match=message):
        judged(data)


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


def truth(file, change=None):
    """AP of predictions that equal the polygons of the tiny data set, against a file."""
    data = tiny_coco()
    metric = CocoMetric(ann_file=str(file), metric=['bbox', 'segm'])
    metric.dataset_meta = dict(classes=CLASSES)
    for image in data['images']:
        items = [a for a in data['annotations'] if a['image_id'] == image['id']]
        boxes = np.array([a['bbox'] for a in items], float).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        labels = np.array([a['category_id'] - 1 for a in items], int)
        masks = [as_rle(a['segmentation'], (80, 64)) for a in items]
        prediction = dict(img_id=image['id'], bboxes=boxes, labels=labels, masks=masks)
        prediction |= dict(scores=np.ones(len(items)), mask_scores=np.ones(len(items)))
        metric.results.append((dict(image, img_id=image['id']), prediction))
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


@pytest.mark.parametrize(
    'change',
    [
        lambda data: None, renumbered(0), renumbered(1000), swapped,
        lambda data: data['categories'].reverse(), encoded(True), encoded(False),
        without('iscrowd'), without('area'), lambda data: data.pop('info', None),
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
    assert 'had no iscrowd, now 0' in output.out + output.err
