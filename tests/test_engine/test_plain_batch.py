"""Batches of every task as plain types and back, and what cannot become plain."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks, PolygonMasks
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement, InstanceData, LabelData, PixelData

from mmlite.datasets.shapes import Job, generate, task_spec
from mmlite.engine.plain_batch import KIND, batch_from_plain, batch_to_plain
from mmlite.errors import CheckpointError

RECIPES = Path(__file__).resolve().parents[2] / 'configs' / 'shapes'
TASKS = {
    'det': ('det', 'det/mask-rcnn_vit-tiny-sfp_8xb8-amp-lsj-100e_coco-640px_shapes.py'),
    'seg': ('seg', 'seg/semfpn_vit-tiny_8xb2-amp-160k_ade20k-512x512_shapes.py'),
    'cls': ('cls', 'cls/vit-tiny_8xb128-coslr-300e_in1k_shapes.py'),
    'mae': ('cls', 'pretrain/mae/mae_vit-tiny_8xb512-amp-coslr-400e_in1k_shapes.py'),
    'beit': ('cls', 'pretrain/beit/beit_vit-tiny_vq_8xb256-amp-coslr-400e_in1k_shapes.py'),
    'dino': ('cls', 'pretrain/dino/dino_vit-tiny_8xb128-amp-coslr-400e_in1k_shapes.py'),
    'track': ('sot', 'track/ostrack_vit-tiny_4xb32-300e_sot-256px_shapes.py'),
}
"""Name -> kind of data, recipe."""
FOLDERS = {'det': 'coco', 'cls': 'imagenet', 'seg': 'ade', 'sot': 'lasot'}


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """A folder in the place of ``data/shapes``."""
    root = tmp_path_factory.mktemp('shapes')
    for kind, folder in FOLDERS.items():
        options = dict(size=96, classes=4) | (dict(frames=20) if kind == 'sot' else {})
        generate(Job(kind, root / folder, task_spec(kind, **options), seed=0, train=4, val=1))
    return root


def moved(value, root):
    """A config whose data lie below ``root``."""
    if isinstance(value, dict):
        return {key: moved(item, root) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(moved(item, root) for item in value)
    return re.sub(r'data/shapes[\w-]*', str(root), value) if isinstance(value, str) else value


def first_batch(recipe, root):
    """A batch of two samples of a recipe's training data."""
    cfg = Config.fromfile(RECIPES / recipe)
    loader = moved(cfg.train_dataloader.to_dict(), root)
    loader.update(batch_size=2, num_workers=0, persistent_workers=False, pin_memory=False)
    if cfg.default_scope == 'mmpretrain':
        loader.setdefault('collate_fn', dict(type='default_collate'))
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        return next(iter(Runner.build_dataloader(loader, seed=0)))


def assert_equal(one, other):
    """Two batches are of the same types, and equal to the last bit."""
    assert type(one) is type(other)
    if isinstance(one, torch.Tensor):
        assert one.dtype == other.dtype and torch.equal(one, other)
    elif isinstance(one, np.ndarray):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    elif isinstance(one, dict):
        assert list(one) == list(other)
        for key in one:
            assert_equal(one[key], other[key])
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other)
        for pair in zip(one, other, strict=True):
            assert_equal(*pair)
    elif isinstance(one, BaseDataElement):
        assert_equal(sorted(one.metainfo_keys()), sorted(other.metainfo_keys()))
        assert_equal(sorted(one.keys()), sorted(other.keys()))
        for key in one.all_keys():
            assert_equal(getattr(one, key), getattr(other, key))
    elif isinstance(one, (BitmapMasks, PolygonMasks, HorizontalBoxes)):
        assert_equal(vars(one), vars(other))
    else:
        assert one == other


def through_a_file(batch):
    """``batch`` written and read as data."""
    file = io.BytesIO()
    torch.save(batch_to_plain(batch), file)
    file.seek(0)
    return batch_from_plain(torch.load(file, weights_only=True))


@pytest.mark.parametrize('task', TASKS)
def test_batches_of_every_task_come_back_equal(task, data):
    batch = first_batch(TASKS[task][1], data)
    again = through_a_file(batch)
    assert again is not batch
    assert_equal(again, batch)


def every_kind():
    """A sample with what the tasks above do not have."""
    polygons = PolygonMasks([[np.array([0.0, 0, 4, 0, 4, 4])]], 8, 8)
    instances = InstanceData(metainfo=dict(scale=np.float32(0.1), shape=(8, 8)), masks=polygons)
    instances.boxes = HorizontalBoxes(torch.tensor([[0.0, 1, 2, 3]]))
    sample = DetDataSample(metainfo=dict(img_id=7, flip=None, mean=np.ones(3, np.float16)))
    sample.gt_instances = instances
    sample.ignored_instances = InstanceData(masks=BitmapMasks(np.zeros((0, 8, 8), bool), 8, 8))
    sample.gt_sem_seg = PixelData(sem_seg=torch.zeros(1, 2, 3, dtype=torch.uint8))
    sample.label = LabelData(item=torch.tensor(3))
    return [sample, (1.5, 'text', {'half': torch.ones(2).bfloat16(), 3: True})]


def test_every_kind_of_structure_comes_back_equal():
    assert_equal(through_a_file(every_kind()), every_kind())


def test_a_part_of_a_tensor_is_saved_alone():
    (plain,) = batch_to_plain([torch.zeros(1000)[3:5]])
    assert plain.untyped_storage().nbytes() == 8


class Unknown:
    pass


@pytest.mark.parametrize(
    ('batch', 'message'),
    [
        (
            dict(inputs=[1, Unknown()]),
            r'cannot save batch\.inputs\[1\]: it is a .*test_plain_batch\.Unknown, and',
        ),
        (
            dict(samples=[DetDataSample(metainfo=dict(what=Unknown()))]),
            r'cannot save batch\.samples\[0\]\.metainfo\.what: it is a .*Unknown',
        ),
        ({KIND: 'numpy:ndarray'}, f"its key '{KIND}' has a meaning of its own"),
    ],
)
def test_what_is_not_plain_is_named(batch, message):
    with pytest.raises(CheckpointError, match=message):
        batch_to_plain(batch)


@pytest.mark.parametrize('kind', ['os:system', 'mmdet.structures.mask.structures:np'])
def test_only_structures_are_rebuilt(kind):
    with pytest.raises(CheckpointError, match=f'cannot rebuild a {kind}: it is no structure'):
        batch_from_plain([{KIND: kind, 'data': 'ls'}])
