"""The shell scripts: several processes on one machine, Slurm jobs, and mistakes in their use."""

import os
import shutil
import subprocess
import sys

import pytest
import tiny_tasks
from run_tool import TOOLS, run_tool
from trainings import free_port

from mmlite.datasets.shapes import Job, generate, task_spec
from mmlite.engine.logs import find_logs, read_records

# Nothing is drawn at random while training: no augmentation, fixed order, every anchor and region
# taken, and as many regions and positives in one image as in another. The mean over processes of
# mean losses is then the mean loss of the whole batch, to rounding.
FIXED = """
_base_ = '{base}'
model = dict(train_cfg=dict(
    rpn=dict(assigner=dict(neg_iou_thr=0.7), sampler=dict(num=10**6)),
    rpn_proposal=dict(nms_pre=20, max_per_img=20, nms=dict(iou_threshold=1.0)),
    rcnn=dict(
        assigner=dict(pos_iou_thr=0.999, neg_iou_thr=0.999, min_pos_iou=0.999),
        sampler=dict(num=1000),
    ),
))
data = dict(data_root='{data}/', pipeline=_base_.pipeline)
train_dataloader = dict(
    batch_size=2, num_workers=0, persistent_workers=False, sampler=dict(shuffle=False),
    dataset=data,
)
val_dataloader = dict(num_workers=0, persistent_workers=False, dataset=data)
val_evaluator = dict(ann_file='{data}/annotations/instances_val2017.json')
train_cfg = dict(max_iters=4, val_interval=4)
param_scheduler = [dict(type='ConstantLR', factor=1.0, by_epoch=False)]
optim_wrapper = dict(optimizer=dict(lr=3e-4))
default_hooks = dict(logger=dict(interval=1), checkpoint=None)
log_processor = dict(window_size=1)
randomness = dict(seed=0)
"""


def script(name, *args, **environ):
    """Run ``tools/NAME.sh`` as a user does."""
    env = dict(os.environ, PYTHON=sys.executable, PORT=str(free_port()), CUDA_VISIBLE_DEVICES='-1')
    env.pop('LOCAL_RANK', None)
    return subprocess.run(
        [shutil.which('bash'), TOOLS / f'{name}.sh', *map(str, args)],
        env=env | environ, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def scalars(work_dir):
    """Losses by iteration, and the metrics."""
    records = read_records(*find_logs(work_dir))
    return {r['step']: r for r in records if 'loss' in r}, records[-1]


def test_two_processes_train_as_one_with_the_same_total_batch(tmp_path):
    """Mask R-CNN; relative 1e-3 after three updates, 1e-5 before the first one."""
    base = tiny_tasks.write('det', tmp_path).config
    spec = task_spec('det', size=96, classes=4, min_size=0.3, max_size=0.6, max_objects=1)
    generate(Job('det', tmp_path / 'coco', spec, seed=0, train=8, val=4))
    config = tmp_path / 'fixed.py'
    config.write_text(FIXED.format(base=base, data=tmp_path / 'coco'))
    assert run_tool('train', config, '--work-dir', tmp_path / 'one') == 0
    run = script(
        'dist_train', config, 2, '--work-dir', tmp_path / 'two',
        '--cfg-options', 'train_dataloader.batch_size=1',
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    (want, want_metrics), (got, metrics) = scalars(tmp_path / 'one'), scalars(tmp_path / 'two')
    assert sorted(got) == [1, 2, 3, 4]
    keys = [key for key in want[1] if key.startswith('loss')]
    assert {'loss_rpn_cls', 'loss_rpn_bbox', 'loss_cls', 'loss_bbox', 'loss_mask'} <= set(keys)
    for step, record in got.items():
        for key in keys:
            tolerance = 1e-5 if step == 1 else 1e-3
            assert record[key] == pytest.approx(want[step][key], rel=tolerance, abs=1e-6), key
    assert metrics['coco/bbox_mAP'] == pytest.approx(want_metrics['coco/bbox_mAP'], abs=1e-3)


def test_a_distributed_mistake_is_said_once(tmp_path):
    config = tmp_path / 'config.py'
    config.write_text("default_scope = 'mmlite'\nmodel = dict(type='ViT')\n")
    run = script('dist_test', config, 'x.pth', 2, '--work-dir', tmp_path / 'work')
    assert run.returncode == 2
    assert run.stderr.count('error: ') == 1, run.stderr
    assert 'cannot test: it has no test_dataloader' in run.stderr
    assert 'Traceback' not in run.stdout + run.stderr


@pytest.mark.parametrize(
    ('name', 'arguments', 'words'),
    [
        ('dist_train', 'c.py two', "error: GPUS is 'two': must be the number of processes, >= 1"),
        ('dist_test', 'c.py x.pth 0', "error: GPUS is '0': must be the number of processes, >= 1"),
        ('slurm_train', 'part job c.py', 'error: srun is not found'),
        ('slurm_test', 'part job c.py x.pth', 'use tools/dist_test.sh'),
        ('dist_train', 'c.py', 'usage: '),
        ('dist_test', 'c.py x.pth', 'usage: '),
        ('slurm_train', 'part job', 'usage: '),
        ('slurm_batch', '', 'usage: sbatch'),
    ],
)
def test_a_mistake_is_one_sentence(name, arguments, words, tmp_path):
    (tmp_path / 'dirname').symlink_to(shutil.which('dirname'))
    run = script(name, *arguments.split(), PATH=str(tmp_path))
    assert run.returncode == 2 and run.stdout == ''
    assert run.stderr.startswith(('error: ', 'usage: ')) and run.stderr.count('\n') == 1
    assert words in run.stderr


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Write commands of Slurm that come before those of the machine."""
    monkeypatch.setenv('PATH', f'{tmp_path}:{os.environ["PATH"]}')

    def write(**commands):
        for name, text in commands.items():
            (tmp_path / name).write_text(f'#!/bin/sh\n{text}\n')
            (tmp_path / name).chmod(0o755)

    return write


def test_slurm_scripts_start_every_task_with_the_launcher(slurm):
    slurm(srun='printf "%s\\n" "$@"')
    options = dict(GPUS='4', SRUN_ARGS='--quotatype=spot --exclusive')
    words = script('slurm_train', 'part', 'a job', 'c.py', '--amp', **options).stdout.splitlines()
    assert words[:2] == ['--partition=part', '--job-name=a job']
    assert {'--ntasks=4', '--ntasks-per-node=4', '--gres=gpu:4', '--cpus-per-task=5'} < set(words)
    assert words[-9:] == [
        '--quotatype=spot', '--exclusive', sys.executable, '-u', f'{TOOLS}/train.py', 'c.py',
        '--launcher', 'slurm', '--amp',
    ]  # fmt: skip
    run = script('slurm_test', 'part', 'job', 'c.py', 'x.pth')
    assert run.stdout.splitlines()[-5:] == [
        f'{TOOLS}/test.py', 'c.py', 'x.pth', '--launcher', 'slurm'
    ]  # fmt: skip


@pytest.mark.parametrize(('code', 'queued'), [(75, True), (0, False), (1, False)])
def test_a_slurm_job_that_was_stopped_is_queued_again(code, queued, slurm):
    slurm(srun=f'echo "$@"; exit {code}', scontrol='echo "scontrol $@"')
    job = dict(SLURM_JOB_ID='7', SLURM_SUBMIT_DIR=str(TOOLS.parent))
    run = script('slurm_batch', 'c.py', '--amp', **job)
    train, *rest = run.stdout.splitlines()
    assert train.endswith('-u tools/train.py c.py --launcher slurm --resume --amp')
    assert rest == ['scontrol requeue 7'] * queued
    assert run.returncode == code
