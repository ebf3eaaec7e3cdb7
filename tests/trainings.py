"""Small trainings in processes of their own, that can be killed: detection, D2-MAE, tracking."""

import multiprocessing
import os
import re
import runpy
import signal
import socket
import sys
import time
from pathlib import Path

import tiny
import tiny_pretrain
import torch

from mmlite.datasets.shapes import Job, generate, task_spec
from mmlite.engine.config_file import load_config
from mmlite.models import ViT

ROOT = Path(__file__).resolve().parents[1]
WAIT = 300  # seconds that a training may take on a busy machine

DETECTION = """
pipeline.insert(2, dict(type='RandomFlip', prob=0.5))
pipeline.insert(3, dict(type='mmdet.PhotoMetricDistortion'))
pipeline[-1].pop('meta_keys')
model.update(bbox_head=dict(num_classes=2, in_channels=16, feat_channels=16, stacked_convs=1))
train_dataloader.update(
    num_workers=2,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    batch_sampler=dict(type='AspectRatioBatchSampler', drop_last=False),
)
train_cfg = dict(type='IterBasedTrainLoop', max_iters=12, val_interval=6)
param_scheduler = [dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=8)]
log_processor = dict(by_epoch=False)
default_hooks.update(checkpoint=dict(
    type='CheckpointHook', by_epoch=False, interval=2, max_keep_ckpts=2
))
"""
PRETRAINING = """
model['distill']['teacher']['init_cfg']['checkpoint'] = {teacher!r}
model['backbone']['drop_path_rate'] = 0.2
train_dataloader['batch_size'] = 2
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=4)
param_scheduler = [dict(type='CosineAnnealingLR', T_max=4, convert_to_iter_based=True)]
randomness = dict(seed=0)
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=1),
    checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=1, max_keep_ckpts=2),
)
"""
TRACKING = """
_base_ = {recipe!r}
model = dict(
    backbone=dict(arch=dict(_delete_=True, embed_dims=24, num_layers=2, num_heads=3)),
    head=dict(in_channels=24, channels=16),
    elimination=dict(blocks=(1,)),
)
lasot = dict(type='mmlite.LaSOTDataset', data_root={data!r})
train_dataloader = dict(
    batch_size=2,
    dataset=dict(datasets=[dict(lasot, split='train')], samples_per_epoch=8),
)
test_dataloader = dict(dataset=dict(lasot, _delete_=True, split='test'))
val_dataloader = test_dataloader
train_cfg = dict(max_epochs=3, val_interval=3)
param_scheduler = [dict(type='MultiStepLR', by_epoch=True, milestones=[2], end=3)]
randomness = dict(seed=0)
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=1))
"""


def write(task, folder):
    """Write data and config of a training; returns the config."""
    if task == 'detection':
        return tiny.write_detector(folder, extra=DETECTION)
    if task == 'pretraining':
        config = tiny_pretrain.write_recipe(folder, tiny_pretrain.DISTILLED)
        teacher = folder / 'teacher.pth'
        save_teacher(config, teacher)
        return tiny_pretrain.write_recipe(
            folder, tiny_pretrain.DISTILLED + PRETRAINING.format(teacher=str(teacher))
        )
    spec = task_spec('sot', size=96, frames=24, max_objects=1)
    generate(Job('sot', folder / 'lasot', spec, seed=0, train=2, val=1))
    recipe = ROOT / 'configs/shapes/track/ostrack_vit-tiny-ce_4xb32-300e_sot-256px_shapes.py'
    config = folder / 'tracker.py'
    config.write_text(TRACKING.format(recipe=str(recipe), data=str(folder / 'lasot') + '/'))
    load_config(config, {'--image-size': 128}).dump(config)
    return config


def save_teacher(config, file):
    """Random weights for the teacher of a distilled recipe."""
    teacher = runpy.run_path(str(config))['model']['distill']['teacher']
    torch.manual_seed(1)
    kwargs = {key: value for key, value in teacher.items() if key not in ('type', 'init_cfg')}
    tiny_pretrain.save_backbone(file, ViT(**kwargs))


CONTEXT = multiprocessing.get_context('forkserver')
CONTEXT.set_forkserver_preload([  # imported once for all processes
    'trainings', 'mmlite.apis', 'mmlite.engine', 'mmlite.evaluation',
    *(f'{name}.{part}' for name in ('mmdet', 'mmpretrain') for part in ('datasets', 'models')),
])  # fmt: skip


class Processes:
    """A tool in ``world`` processes of their own, without a launcher.

    They write to ``output_<rank>.txt`` in ``folder``, and see no GPU if ``on_cpu``.
    """

    def __init__(self, tool, args, folder, world=1, on_cpu=True):
        folder.mkdir(exist_ok=True)
        args = [*map(str, args), *(['--launcher', 'pytorch'] if world > 1 else [])]
        shared = dict(WORLD_SIZE=str(world), MASTER_ADDR='127.0.0.1', MASTER_PORT=str(free_port()))
        shared |= dict(CUDA_VISIBLE_DEVICES='-1') if on_cpu else {}
        self.logs = [folder / f'output_{rank}.txt' for rank in range(world)]
        self.processes = [
            CONTEXT.Process(
                target=_run, args=(tool, args, log, dict(shared, RANK=str(r), LOCAL_RANK=str(r)))
            )
            for r, log in enumerate(self.logs)
        ]
        for process in self.processes:
            process.start()

    def end(self, ok=0):
        """Wait for their ends, and check the exit codes."""
        for process in self.processes:
            process.join(WAIT)
            assert process.exitcode == ok, (process.exitcode, self.text()[-3000:])

    def text(self):
        """What they have printed so far."""
        return ''.join(log.read_text() for log in self.logs if log.exists())

    def signal_when(self, number, ready, rank=0):
        """Signal a process and its workers as soon as ``ready()``; returns whether it ran.

        That is what ``timeout``, Slurm and containers do. SIGKILL ends the process only.
        """
        process, end = self.processes[rank], time.monotonic() + WAIT
        while process.is_alive() and not ready():
            assert time.monotonic() < end, self.text()[-3000:]
            time.sleep(0.002)
        alive = process.is_alive()
        if alive:
            (os.kill if number == signal.SIGKILL else os.killpg)(process.pid, number)
        return alive


def train(config, work_dir, *options, world=1):
    """Start ``tools/train.py`` with its logs in ``work_dir``; returns the :class:`Processes`."""
    args = [config, '--work-dir', work_dir, *options]
    return Processes('train', args, work_dir, world, on_cpu=world > 1)


def _run(tool, args, log, environ):
    os.setsid()  # a process group of its own, which a test can signal
    with open(log, 'a') as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ.update(environ)
    torch.set_num_threads(1)
    sys.argv = [f'{tool}.py', *args]
    sys.exit(runpy.run_path(str(ROOT / f'tools/{tool}.py'))['main'](args))


def free_port():
    """A free port of this machine."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        return free.getsockname()[1]


def last_weights(work_dir):
    """The newest checkpoint's weights, optimiser and iteration."""
    file = Path((work_dir / 'last_checkpoint').read_text())
    checkpoint = torch.load(file, weights_only=True)
    return checkpoint['state_dict'], checkpoint['optimizer']['state'], checkpoint['meta']['iter']


def assert_same_bits(one, other):
    """Two nested containers hold the same tensors, bit for bit."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same_bits(one[key], other[key])
    elif isinstance(one, (list, tuple)):
        for pair in zip(one, other, strict=True):
            assert_same_bits(*pair)
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    else:
        assert one == other


def steps(text):
    """Numbers of the iterations that a log tells of, in order."""
    return [int(n) for n in re.findall(r'Saving checkpoint at (\d+) iterations', text)]
