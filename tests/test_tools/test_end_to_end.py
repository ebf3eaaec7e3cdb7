"""The mini detector through the real command lines: several processes, resuming, evaluation."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mmlite.datasets.shapes import Job, generate, task_spec

ROOT = Path(__file__).parents[2]
RECIPE = 'configs/shapes/det/mask-rcnn_vit-tiny-sfp_8xb8-amp-lsj-100e_coco-640px_shapes.py'

# Nothing is drawn at random while training: no augmentation, fixed order, every anchor and region
# taken, and as many regions and positives in one picture as in another. The mean over processes of
# mean losses is then the mean loss of the whole batch, to rounding.
MINI = """
_base_ = '{recipe}'
image_scale = (96, 96)
model = dict(
    data_preprocessor=dict(pad_size_divisor=96),
    backbone=dict(arch=dict(_delete_=True, embed_dims=48, num_layers=2, num_heads=3),
                  img_size=96, global_blocks=(1,)),
    neck=dict(in_channels=48),
    train_cfg=dict(
        rpn=dict(assigner=dict(neg_iou_thr=0.7), sampler=dict(num=10**6)),
        rpn_proposal=dict(nms_pre=20, max_per_img=20, nms=dict(iou_threshold=1.0)),
        rcnn=dict(
            assigner=dict(pos_iou_thr=0.999, neg_iou_thr=0.999, min_pos_iou=0.999),
            sampler=dict(num=1000),
        ),
    ),
)
pipeline = _base_.test_pipeline
pipeline[1].update(scale=image_scale)
train_dataloader = dict(
    batch_size=2, num_workers=0, persistent_workers=False,
    sampler=dict(shuffle=False), dataset=dict(data_root='{data}/', pipeline=pipeline),
)
val_dataloader = dict(
    num_workers=0, persistent_workers=False, dataset=dict(data_root='{data}/', pipeline=pipeline)
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file='{data}/annotations/instances_val2017.json')
test_evaluator = val_evaluator
train_cfg = dict(max_iters=4, val_interval=4)
param_scheduler = [dict(type='ConstantLR', factor=1.0, by_epoch=False)]
optim_wrapper = dict(optimizer=dict(lr=3e-4))
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=2))
log_processor = dict(window_size=1)
randomness = dict(seed=0)
"""


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp('mini')
    spec = task_spec('det', size=96, classes=4, min_size=0.3, max_size=0.6, max_objects=1)
    generate(Job('det', folder / 'coco', spec, seed=0, train=8, val=4))
    path = folder / 'mini.py'
    path.write_text(MINI.format(recipe=ROOT / RECIPE, data=folder / 'coco'))
    return path


def run(*command):
    """Run a tool as a user does; its output is shown where it fails."""
    environment = os.environ | dict(OMP_NUM_THREADS='1', PATH=_path_with_this_python())
    done = subprocess.run(
        [str(part) for part in command], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def _path_with_this_python():
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ['PATH']])


def train(config, work_dir, *options):
    run(sys.executable, 'tools/train.py', config, '--work-dir', work_dir, *options)
    return scalars(work_dir)


def scalars(work_dir):
    """Records of the latest run: losses by iteration, and the metrics of the last validation."""
    log = sorted(work_dir.glob('*/vis_data/scalars.json'))[-1]
    records = [json.loads(line) for line in log.read_text().splitlines()]
    losses = {r['step']: r for r in records if 'loss' in r}
    metrics = [r for r in records if 'coco/bbox_mAP' in r]
    return losses, metrics[-1] if metrics else None


@pytest.fixture(scope='module')
def reference(config, tmp_path_factory):
    """One process, four iterations, evaluated at the end."""
    work_dir = tmp_path_factory.mktemp('reference')
    return work_dir, *train(config, work_dir)


def assert_same_losses(got, want, tolerance):
    keys = [key for key in next(iter(want.values())) if key.startswith('loss')]
    assert {'loss_rpn_cls', 'loss_rpn_bbox', 'loss_cls', 'loss_bbox', 'loss_mask'} <= set(keys)
    for step, record in got.items():
        for key in keys:
            assert record[key] == pytest.approx(want[step][key], rel=tolerance, abs=1e-6), key


def test_two_processes_train_as_one_with_the_same_total_batch(config, reference, tmp_path):
    """Relative 1e-3 after three updates, 1e-5 before the first one."""
    run(
        'bash', 'tools/dist_train.sh', config, 2, '--work-dir', tmp_path,
        '--cfg-options', 'train_dataloader.batch_size=1',
    )  # fmt: skip
    losses, metrics = scalars(tmp_path)
    _, want, want_metrics = reference
    assert sorted(losses) == [1, 2, 3, 4]
    assert_same_losses({1: losses[1]}, want, 1e-5)
    assert_same_losses(losses, want, 1e-3)
    assert metrics['coco/bbox_mAP'] == pytest.approx(want_metrics['coco/bbox_mAP'], abs=1e-3)


def test_resumed_training_continues_the_losses(config, reference, tmp_path):
    _, want, _ = reference
    first, _ = train(config, tmp_path, '--cfg-options', 'train_cfg.max_iters=2')
    second, _ = train(config, tmp_path, '--resume')
    assert sorted(first) == [1, 2] and sorted(second) == [3, 4]
    assert_same_losses(first, want, 1e-5)
    assert_same_losses(second, want, 1e-5)


def test_testing_a_checkpoint_gives_the_metrics_that_training_printed(config, reference, tmp_path):
    work_dir, _, want = reference
    output = run(
        sys.executable, 'tools/test.py', config, work_dir / 'iter_4.pth', '--work-dir', tmp_path
    )
    for key in ('bbox_mAP', 'segm_mAP', 'bbox_mAP_50'):
        printed = float(re.search(rf'coco/{key}: (-?[\d.]+)', output)[1])
        assert printed == pytest.approx(want[f'coco/{key}'], abs=5e-5)
