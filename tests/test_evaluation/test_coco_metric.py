"""COCO's AP of detectors that find much, little or nothing."""

import json

import numpy as np
import pytest
import torch
from mmdet.evaluation import CocoMetric as StockCocoMetric
from pycocotools import mask as coco_mask

from mmlite.evaluation import CocoMetric

SIZE = (40, 60)
BOXES = [[5, 5, 25, 20], [30, 8, 55, 38]]
CLASSES = ('disc', 'star')


def rectangle(x1, y1, x2, y2):
    mask = np.zeros(SIZE, np.uint8, order='F')
    mask[y1:y2, x1:x2] = 1
    return mask


@pytest.fixture
def ann_file(tmp_path):
    """Two images of two objects each, one of either class."""
    annotations = [
        dict(
            id=4 * image + index + 1, image_id=image, category_id=index + 1, iscrowd=0,
            bbox=[x1, y1, x2 - x1, y2 - y1], area=(x2 - x1) * (y2 - y1),
            segmentation=[[x1, y1, x2, y1, x2, y2, x1, y2]],
        )
        for image in range(2)
        for index, (x1, y1, x2, y2) in enumerate(BOXES)
    ]  # fmt: skip
    images = [dict(id=i, height=SIZE[0], width=SIZE[1], file_name=f'{i}.png') for i in range(2)]
    categories = [dict(id=i + 1, name=name) for i, name in enumerate(CLASSES)]
    file = tmp_path / 'instances.json'
    file.write_text(json.dumps(dict(images=images, annotations=annotations, categories=categories)))
    return file


def evaluate(kind, ann_file, found, masks=True, **options):
    """Metrics where ``found`` indices of BOXES are detected in either image."""
    metric = kind(str(ann_file), metric=['bbox', 'segm'] if masks else 'bbox', **options)
    metric.dataset_meta = dict(classes=CLASSES)
    boxes = torch.tensor(BOXES, dtype=torch.float32)[found].reshape(-1, 4)
    labels = torch.tensor(found).long()
    prediction = dict(bboxes=boxes, scores=torch.ones(len(found)), labels=labels)
    if masks:
        prediction['masks'] = [coco_mask.encode(rectangle(*BOXES[i])) for i in found]
    image = dict(ori_shape=SIZE, pred_instances=prediction)
    metric.process({}, [dict(image, img_id=i, pred_instances=dict(prediction)) for i in range(2)])
    return metric.evaluate(size=2)


@pytest.mark.parametrize('masks', [True, False])
def test_no_detection_is_an_ap_of_zero(masks, ann_file, tmp_path):
    metrics = evaluate(CocoMetric, ann_file, [], masks, classwise=True)
    for kind in ('bbox', 'segm') if masks else ('bbox',):
        assert [metrics[f'coco/{kind}_mAP{end}'] for end in ('', '_50', '_75')] == [0, 0, 0]
    assert metrics['coco/star_precision'] == 0
    assert not evaluate(StockCocoMetric, ann_file, [], masks)  # why there is a metric of our own
    prefix = str(tmp_path / 'out')
    evaluate(CocoMetric, ann_file, [], masks, format_only=True, outfile_prefix=prefix)
    assert json.loads((tmp_path / 'out.bbox.json').read_text()) == []


@pytest.mark.parametrize('found', [[0], [0, 1]])
def test_detections_are_judged_as_by_mmdet(found, ann_file):
    metrics = evaluate(CocoMetric, ann_file, found)
    assert metrics['coco/bbox_mAP'] == len(found) / 2
    assert metrics == evaluate(StockCocoMetric, ann_file, found)


def test_each_class_has_an_ap_of_boxes_and_one_of_masks(ann_file, monkeypatch):
    expected = evaluate(StockCocoMetric, ann_file, [0], classwise=True)
    metrics = evaluate(CocoMetric, ann_file, [0], classwise=True)
    boxes = {'coco/disc_bbox_precision': 1.0, 'coco/star_bbox_precision': 0.0}
    assert metrics == {**expected, **boxes}
    monkeypatch.setitem(globals(), 'rectangle', lambda *box: np.zeros(SIZE, np.uint8, order='F'))
    metrics = evaluate(CocoMetric, ann_file, [0], classwise=True)
    assert metrics['coco/disc_bbox_precision'] == 1 and metrics['coco/disc_precision'] == 0
    assert metrics['coco/bbox_mAP'] == 0.5 and metrics['coco/segm_mAP'] == 0


@pytest.mark.parametrize('ids', [(1, 2), (2, 1)])
@pytest.mark.parametrize('step', [1, -1])
def test_aps_of_classes_do_not_depend_on_ids_and_order_in_the_file(ids, step, ann_file):
    data = json.loads(ann_file.read_text())
    for item in (*data['categories'], *data['annotations']):
        key = 'category_id' if 'category_id' in item else 'id'
        item[key] = ids[item[key] - 1]
    data['categories'] = data['categories'][::step]
    ann_file.write_text(json.dumps(data))
    metrics = evaluate(CocoMetric, ann_file, [0], masks=False, classwise=True)
    assert metrics['coco/disc_precision'] == 1 and metrics['coco/star_precision'] == 0


def test_ids_from_0_and_a_missing_iscrowd_do_not_lower_the_ap(ann_file):
    data = json.loads(ann_file.read_text())
    for number, item in enumerate(data['annotations']):
        item['id'] = number
        del item['iscrowd']
    ann_file.write_text(json.dumps(data))
    metrics = evaluate(CocoMetric, ann_file, [0, 1])
    assert metrics['coco/bbox_mAP'] == metrics['coco/segm_mAP'] == 1
