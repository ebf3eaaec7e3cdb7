"""A detector, a model and data sets that train in a second: shared by tests of engine and tools."""

import atexit
import json
import time
import zlib
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.dataset import BaseDataset
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from torch import nn

from mmlite.registry import DATASETS, HOOKS, MODELS

COLOURS = {1: (20, 20, 250), 2: (20, 250, 20)}  # BGR
CATEGORIES = [{'id': 1, 'name': 'red'}, {'id': 2, 'name': 'green'}]


def coco(images=4, boxes=2, width=80, height=64, seed=0):
    """A COCO annotation dict: squares of 24 px, ``boxes`` an image, categories in turn."""
    rng = np.random.default_rng(seed)
    listed = [dict(id=i, file_name=f'{i}.png', width=width, height=height) for i in range(images)]
    annotations = []
    for image in range(images):
        for k in range(boxes):
            x, y = (int(v) for v in rng.integers(0, (width - 24, height - 24)))
            outline = [x, y, x + 24, y, x + 24, y + 24, x, y + 24]
            annotations.append(dict(
                id=len(annotations) + 1, image_id=image, category_id=k % 2 + 1, area=576,
                bbox=[x, y, 24, 24], iscrowd=0, segmentation=[outline],
            ))  # fmt: skip
    return dict(images=listed, annotations=annotations, categories=CATEGORIES)


def write_coco(root, split, **options):
    """Write ``<split>.json`` and the images of :func:`coco` into ``<split>/`` below ``root``."""
    data = coco(**options)
    (root / split).mkdir(parents=True, exist_ok=True)
    for item in data['images']:
        image = np.full((item['height'], item['width'], 3), 40, np.uint8)
        for a in (a for a in data['annotations'] if a['image_id'] == item['id']):
            x, y, w, h = a['bbox']
            image[y : y + h, x : x + w] = COLOURS[a['category_id']]
        cv2.imwrite(str(root / split / item['file_name']), image)
    (root / f'{split}.json').write_text(json.dumps(data))
    return data


def write_log(work_dir, records, run='1'):
    """Write ``scalars.json`` of a run below a work directory; returns the file."""
    file = work_dir / run / 'vis_data' / 'scalars.json'
    file.parent.mkdir(parents=True)
    file.write_text(''.join(json.dumps(record) + '\n' for record in records))
    return file


DETECTOR = """
_base_ = ['mmdet::_base_/models/retinanet_r50_fpn.py', 'mmdet::_base_/default_runtime.py']
root = {root!r}
model = dict(
    backbone=dict(depth=18, base_channels=8, init_cfg=None),
    neck=dict(in_channels=[8, 16, 32, 64], out_channels=16),
    bbox_head=dict(num_classes=2, in_channels=16, feat_channels=16, stacked_convs=1),
    test_cfg=dict(score_thr=0.0),
)
pipeline = [
    dict(type='mmlite.LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='Resize', scale=(64, 64), keep_ratio=True),
    dict(type='PackDetInputs', meta_keys=(
        'img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]


def loader(split, batch_size, test_mode):
    return dict(
        batch_size=batch_size,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=dict(
            type='mmlite.CocoDataset',
            data_root=root,
            ann_file=split + '.json',
            data_prefix=dict(img=split),
            metainfo=dict(classes=('red', 'green')),
            pipeline=pipeline,
            serialize_data=False,  # it collects garbage, a second in a large process
            test_mode=test_mode,
        ),
    )


train_dataloader = loader('train', 2, False)
val_dataloader = loader('val', 1, True)
test_dataloader = val_dataloader
val_evaluator = dict(type='mmlite.CocoMetric', ann_file=root + '/val.json', metric='bbox')
test_evaluator = val_evaluator
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=2, val_interval=2)
log_processor = dict(window_size=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=1e-4))
param_scheduler = [dict(type='MultiStepLR', milestones=[1], gamma=0.5)]
default_hooks = dict(logger=dict(interval=1))
randomness = dict(seed=0)
"""


def write_detector(folder, name='detector.py', extra=''):
    """Write the config of a small RetinaNet, and its data if they are missing."""
    if not (folder / 'train.json').exists():
        write_coco(folder, 'train')
        write_coco(folder, 'val', images=2, seed=1)
    config = folder / name
    config.write_text(DETECTOR.format(root=str(folder)) + extra)
    return config


@DATASETS.register_module(force=True)
class TinyNumbers(BaseDataset):
    """Eight fixed vectors (4,) with targets (1,), without any file."""

    def load_data_list(self):
        generator = torch.Generator().manual_seed(0)
        points = torch.randn(8, 4, generator=generator)
        return [dict(inputs=x, target=x.sum().reshape(1)) for x in points]


NUMBERS = dict(
    batch_size=4,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    # serialising collects garbage, which takes a second in a large process
    dataset=dict(type='mmlite.TinyNumbers', serialize_data=False),
)
"""Data loader of two steps an epoch."""


class TinyBackbone(nn.Module):
    """Two blocks between an embedding and a norm; knows its layers as ViT does."""

    def __init__(self):
        super().__init__()
        self.pos_embed = nn.Parameter(torch.zeros(1, 4))
        self.patch_embed = nn.Linear(4, 4)
        self.blocks = nn.ModuleList(nn.Linear(4, 4) for _ in range(2))
        self.norm = nn.LayerNorm(4)

    def forward(self, x):
        x = self.patch_embed(x) + self.pos_embed
        for block in self.blocks:
            x = x + block(x).tanh()
        return self.norm(x)

    def describe(self):
        return dict(type='TinyBackbone', num_heads=1, img_size=4)

    def get_layer_depth(self, name, prefix=''):
        rest = name[len(prefix) :] if name.startswith(prefix) else ''
        if rest.startswith(('pos_embed', 'patch_embed')):
            return 0, 4
        return (int(rest.split('.')[1]) + 1 if rest.startswith('blocks') else 3), 4

    def no_weight_decay(self):
        return {'pos_embed'}


@MODELS.register_module(force=True)
class TinyModel(BaseModel):
    """Regression of a number from a vector."""

    def __init__(self):
        super().__init__()
        self.backbone = TinyBackbone()
        self.head = nn.Linear(4, 1)

    def forward(self, inputs, target, mode='tensor', sample_idx=None):
        out = self.head(self.backbone(torch.stack(inputs)))
        if mode == 'loss':
            return dict(loss=(out - torch.stack(target)).square().mean())
        return out


class Losses(Hook):
    """Keeps the loss of every iteration."""

    def __init__(self):
        self.seen = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.seen.append(outputs['loss'].item())


@HOOKS.register_module(force=True)
class Batches(Hook):
    """Write step, checksum of the pixels and seed of every sample, a file for each process."""

    def __init__(self, folder):
        self.file = Path(folder) / f'batches_{get_rank()}'

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        images = data_batch.get('inputs', data_batch)
        parts = [images[key] for key in sorted(images)] if isinstance(images, dict) else [images]
        samples = data_batch['data_samples']
        if isinstance(samples, dict):  # of a tracker, which draws no mask
            samples = [None] * len(parts[0])
        with open(self.file, 'a') as file:
            for sample, *tensors in zip(samples, *parts, strict=True):
                pixels = zlib.crc32(b''.join(tensor.numpy().tobytes() for tensor in tensors))
                seed = sample and sample.sample_seed
                file.write(f'{runner.iter}/{pixels}/{seed}\n')


@HOOKS.register_module(force=True)
class Pause(Hook):
    """Let process ``rank`` wait once, in a method of hooks or at ``'exit'``, and write ``file``."""

    priority = 'LOWEST'

    def __init__(self, point, file, seconds=4, rank=0):
        self.file, self.seconds = Path(file), seconds
        if get_rank() != rank:
            return
        if point == 'exit':
            atexit.register(self.wait)
        else:
            setattr(self, point, self.wait)

    def wait(self, *args, **kwargs):
        if not self.file.exists():
            self.file.touch()
            time.sleep(self.seconds)
