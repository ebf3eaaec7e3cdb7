"""The example of a new task: its points by hand, its parts, and a run that learns."""

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from run_tool import run_tool

from mmlite.datasets.shapes import Job, generate, task_spec
from mmlite.engine.logs import find_logs, read_records
from mmlite.errors import DataError
from mmlite.registry import MODELS
from projects.example_new_task.extreme_points import ExtremePoints, PointAccuracy, extreme_points
from projects.example_new_task.point_model import mean_positions

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ROOT / 'projects/example_new_task'
(CONFIG,) = PROJECT.glob('configs/*.py')


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Eight training and four validation pictures of 64 pixels with one object each."""
    folder = tmp_path_factory.mktemp('points')
    spec = task_spec('det', size=64, classes=2, max_objects=1, min_size=0.3, max_size=0.6)
    generate(Job('det', folder / 'coco', spec, seed=0, train=8, val=4))
    return folder / 'coco'


def dataset(data, name='instances_train2017'):
    prefix = dict(img='train2017')
    return ExtremePoints(f'annotations/{name}.json', data_root=str(data), data_prefix=prefix)


def test_extreme_points_of_a_mask():
    mask = np.zeros((10, 12), bool)
    mask[2, 3:8] = True  # a flat top from 3 to 8, whose middle is 5.5
    mask[3:6, 4:11] = True  # reaches furthest to the right, rows 3 to 6
    mask[6, 1] = True  # leftmost
    mask[7, 5] = True  # bottommost
    assert extreme_points(mask).tolist() == [[5.5, 2.5], [1.5, 6.5], [5.5, 7.5], [10.5, 4.5]]


def test_points_lie_on_the_border_of_the_annotated_box_of_one_object(data):
    annotations = json.loads((data / 'annotations/instances_train2017.json').read_text())
    samples = dataset(data)
    assert len(samples) == 8
    for index, annotation in enumerate(annotations['annotations']):
        x, y, width, height = annotation['bbox']
        (top, left, bottom, right) = samples[index]['gt_keypoints'][0]
        found = (left[0] - 0.5, top[1] - 0.5, right[0] + 0.5, bottom[1] + 0.5)
        # polygons may lie a pixel beside the mask that they were made from
        assert np.abs(np.subtract(found, (x, y, x + width, y + height))).max() <= 1
        assert Path(samples[index]['img_path']).is_file()
    annotations['annotations'].append(dict(annotations['annotations'][0], id=99))
    (data / 'annotations/two.json').write_text(json.dumps(annotations))
    with pytest.raises(DataError, match='000000000001.jpg shows 2 objects, .* --max-objects 1'):
        dataset(data, 'two')


def test_a_flipped_picture_has_the_points_of_the_flipped_mask(tmp_path):
    cfg = Config.fromfile(CONFIG)
    init_default_scope(cfg.default_scope)
    mask = np.zeros((48, 48), np.uint8)
    cv2.fillPoly(mask, [np.array([(5, 20), (30, 4), (40, 25), (22, 44)])], 1)
    cv2.imwrite(str(tmp_path / '0.png'), np.repeat(100 * mask[..., None], 3, axis=2))
    load, resize, flip, pack = cfg.train_dataloader.dataset.pipeline
    pipeline = Compose([load, resize, dict(flip, prob=1.0), pack])
    sample = dict(img_path=str(tmp_path / '0.png'), gt_keypoints=extreme_points(mask)[None])
    packed = pipeline(sample)
    wanted = extreme_points(mask[:, ::-1]) * 2  # from 48 to 96 pixels
    np.testing.assert_allclose(packed['data_samples'].gt_points, wanted)
    assert packed['inputs'].shape == (3, 96, 96)
    top = wanted[0].astype(int)
    assert packed['inputs'][0, top[1] + 2, top[0]] > 50 > packed['inputs'][0, 2, 2]


def test_the_mean_position_of_a_map():
    maps = torch.zeros(1, 2, 3, 4)
    maps[0, 1, 2, 1] = 50.0  # all weight in row 2 of 3, column 1 of 4
    points = mean_positions(maps)
    torch.testing.assert_close(points, torch.tensor([[[0.5, 0.5], [1.5 / 4, 2.5 / 3]]]))


def test_accuracy_by_hand():
    true = torch.tensor([[[5.0, 0], [0, 5], [5, 10], [10, 5]], [[5, 0], [0, 5], [5, 20], [10, 5]]])
    found = true.clone()
    found[0, 0, 0] += 1.9  # within a fifth of the longer side, 10
    found[0, 1, 1] += 2.1  # beyond
    found[1, 2, 1] -= 3.9  # within a fifth of 20
    metric = PointAccuracy()
    metric.process({}, [dict(pred_points=f, gt_points=t) for f, t in zip(found, true, strict=True)])
    values = metric.evaluate(2)
    assert values['points/pck'] == pytest.approx(100 * 7 / 8)
    # the mean of (5, 10) and (5, 20) is wrong by 5: more than 0.2 x 10 and 0.2 x 20
    assert values['points/pck_constant'] == pytest.approx(100 * 6 / 8)
    assert values['points/error'] == pytest.approx((0.19 + 0.21 + 3.9 / 20) / 8)


TINY = """
_base_ = {base!r}
model = dict(
    backbone=dict(
        arch=dict(_delete_=True, embed_dims=48, num_layers=2, num_heads=3), img_size=64,
        patch_size=8,
    ),
    in_channels=48,
)
alone = dict(num_workers=0, persistent_workers=False)
data = dict(
    data_root={data!r}, ann_file='annotations/instances_train2017.json',
    data_prefix=dict(img='train2017'),
    pipeline=[dict(type='LoadImageFromFile'), dict(type='PackPoints')],  # images of 64 pixels
)
train_dataloader = dict(alone, batch_size=8, dataset=data)
val_dataloader = dict(alone, dataset=data)
max_iters = 60
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
optim_wrapper = dict(optimizer=dict(lr=3e-3))
param_scheduler = [dict(type='ConstantLR', factor=1.0, by_epoch=False)]
default_hooks = dict(checkpoint=dict(interval=max_iters))
randomness = dict(seed=0)
"""


def test_training_beats_the_constant_guess(data, tmp_path):
    """On the eight pictures that it is trained with, by the commands of the README."""
    config = tmp_path / 'tiny.py'
    config.write_text(TINY.format(base=str(CONFIG), data=str(data)))
    assert run_tool('train', config, '--work-dir', tmp_path / 'work') == 0
    (found,) = (r for r in read_records(*find_logs(tmp_path / 'work')) if 'points/pck' in r)
    assert found['points/pck'] > found['points/pck_constant'] + 10


BLOCKS = re.findall(r'```python\n(.*?)```', (PROJECT / 'README.md').read_text(), re.DOTALL)


@pytest.mark.parametrize('block', BLOCKS, ids=['from a checkpoint', 'another backbone'])
def test_the_configs_of_the_readme_work(block, tmp_path):
    """With a checkpoint of random weights in place of the one that is named."""
    config = tmp_path / 'child.py'
    config.write_text(block.replace("'./", f"'{CONFIG.parent}/"))
    cfg = Config.fromfile(config)
    init_default_scope(cfg.default_scope)
    torch.manual_seed(1)
    wanted = MODELS.build(dict(cfg.model.backbone, init_cfg=None)).state_dict()
    if cfg.model.backbone.get('init_cfg'):
        torch.save(
            dict(state_dict={f'backbone.{key}': value for key, value in wanted.items()}),
            tmp_path / 'weights.pth',
        )
        cfg.model.backbone.init_cfg.checkpoint = str(tmp_path / 'weights.pth')
    model = MODELS.build(cfg.model)
    model.init_weights()
    assert model(torch.zeros(1, 3, 96, 96)).shape == (1, 4, 2)
    if cfg.model.backbone.get('init_cfg'):
        own = model.backbone.state_dict()
        assert all(torch.equal(own[key], value) for key, value in wanted.items())
