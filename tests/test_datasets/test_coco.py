"""Annotation files that contradict themselves are refused with file, annotation and values."""

import json
import math

import pytest
import tiny
from mmdet.datasets import CocoDataset as StockCocoDataset
from mmdet.datasets.transforms import LoadAnnotations
from pycocotools import mask as coco_mask

from mmlite.datasets import CocoDataset
from mmlite.errors import DataError


def write(folder, data):
    file = folder / 'ann.json'
    file.write_text(data if isinstance(data, str) else json.dumps(data))
    return file


def load(file, cls=CocoDataset, **options):
    options = dict(metainfo=dict(classes=('red', 'green')), **options)
    options = dict(options, data_prefix=dict(img='x'), pipeline=[], serialize_data=False)
    return cls(ann_file=str(file), **options)


def test_a_sound_file_gives_what_mmdet_gives(tmp_path):
    file = write(tmp_path, tiny.coco())
    ours, stock = load(file), load(file, StockCocoDataset)
    assert len(ours) == 4
    assert [ours[i] for i in range(4)] == [stock[i] for i in range(4)]


@pytest.mark.parametrize('cls', [CocoDataset, StockCocoDataset])
def test_labels_follow_the_names_of_classes_not_the_order_of_the_file(cls, tmp_path):
    data = tiny.coco()
    given = [a['category_id'] for a in data['annotations']]
    for categories in (data['categories'], data['categories'][::-1]):
        dataset = load(write(tmp_path, dict(data, categories=categories)), cls)
        found = [x['bbox_label'] for image in dataset for x in image['instances']]
        assert [dataset.cat_ids[label] for label in found] == given
        assert [{1: 'red', 2: 'green'}[i] for i in dataset.cat_ids] == ['red', 'green']


def edit(**changes):
    """The tiny data set, its second annotation with some ``changes`` (None takes a key away)."""
    data = tiny.coco()
    for key, value in changes.items():
        data['annotations'][1].pop(key) if value is None else data['annotations'][1].update(
            {key: value}
        )
    return data


@pytest.mark.parametrize(
    'changes',
    [
        dict(bbox=[10, 10, 0, 5]),  # degenerate: mmdet skips them
        dict(bbox=[80, 64, 0.5, 0.5]),
        dict(bbox=[-20, -20, 21, 21]),  # one pixel is inside
        dict(bbox=[79, 63, 100, 100]),
        dict(iscrowd=1, segmentation=dict(size=[64, 80], counts=[5120])),
    ],
)
def test_small_and_overhanging_boxes_and_crowds_are_fine(changes, tmp_path):
    load(write(tmp_path, edit(**changes)))


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(category_id=9),
         r'annotation 2 has category_id 9, but the file lists 2 categories with ids 1 to 2$'),
        (dict(image_id=77), r'annotation 2 is for image 77, which the file does not list$'),
        (dict(bbox=[80, 0, 5, 5]),
         r'annotation 2 has a box entirely outside: \[x, y, width, height\] = \[80, 0, 5, 5\] in '
         r'image 0 of 80 x 64 pixels$'),
        (dict(bbox=[0, -9, 5, 5]), 'entirely outside'),
        (dict(bbox=[0, 0, -5, 5]), r'annotation 2 has a box of no valid size: .*\[0, 0, -5, 5\]'),
        (dict(bbox=[0, math.nan, 5, 5]), 'of no valid size'),
        (dict(bbox=[0, 0, 5]), r'annotation 2 has bbox \[0, 0, 5\], which is not \[x, y, width, '),
        (dict(bbox=None), r"annotation 2 has no 'bbox'"),
        *((dict(bbox=box), r'annotation 2 has bbox .* is not \[x, y, width, height\]$') for box in (
            ['0', '0', '5', '5'], [0, 0, 5, 5, 5], [0, 0, True, 5], [[0, 0], [5, 5]], {'x': 1}, [],
        )),
        (dict(bbox=[0, 0, math.inf, 5]), 'of no valid size'),
        *((dict(image_id=v), 'has image_id .* which is not an integer$') for v in (1.5, True, [])),
        (dict(image_id='0'), "is for image '0', which the file does not list"),
        *((dict(iscrowd=v), r'annotation 2 has iscrowd .* is not 0 or 1') for v in (7, 'no', [])),
        (dict(id=None), r"annotation number 1 has no 'id'"),
        (dict(id=1), r'annotation 1 has an id that several annotations have'),
    ],
)  # fmt: skip
def test_wrong_annotations_are_named(changes, message, tmp_path):
    file = write(tmp_path, edit(**changes))
    with pytest.raises(DataError, match=message) as error:
        load(file)
    assert str(error.value).startswith(str(file))
    assert '\n' not in str(error.value)


@pytest.mark.parametrize(
    ('data', 'message'),
    [
        ('{"images": [', 'is not valid JSON: '),
        ('[]', 'a COCO file is a JSON object'),
        ({'images': []}, 'has the lists images, categories, annotations; categories is missing'),
        (dict(tiny.coco(), annotations={}), 'annotations is missing'),
        (dict(tiny.coco(), images=[dict(id=0, height=1)]), "image id 0 has no 'width'"),
        (dict(tiny.coco(), images=[5]), "image number 0 has no 'id'"),
        (dict(tiny.coco(), categories=[dict(id=1, name='red')]),
         r"class 'green' of metainfo is not among its categories \('red'\)"),
    ],
)  # fmt: skip
def test_files_of_another_form_are_named(data, message, tmp_path):
    file = write(tmp_path, data)
    with pytest.raises(DataError, match=message) as error:
        load(file)
    assert str(file) in str(error.value)


def test_a_test_set_has_no_annotations(tmp_path):
    data = {key: value for key, value in tiny.coco().items() if key != 'annotations'}
    file = write(tmp_path, data)
    assert len(load(file, test_mode=True)) == 4
    with pytest.raises(DataError, match='annotations is missing'):
        load(file)


def test_run_lengths_are_learned_as_polygons_are():
    polygon = tiny.coco(images=1)['annotations'][0]['segmentation']
    lengths = coco_mask.merge(coco_mask.frPyObjects(polygon, 64, 80))
    lengths['counts'] = lengths['counts'].decode()  # as in a file
    box = dict(ignore_flag=0, bbox=[0, 0, 1, 1], bbox_label=0)
    instances = [dict(box, mask=mask) for mask in (polygon, lengths)]
    load = LoadAnnotations(with_mask=True, poly2mask=False)
    found = load(dict(instances=instances, ori_shape=(64, 80)))
    assert not found['gt_ignore_flags'].any() and not load.poly2mask
    assert found['gt_masks'].areas.tolist() == [576, 576]
