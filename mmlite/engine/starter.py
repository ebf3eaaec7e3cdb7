"""A first config for data of one's own."""

import math
import shlex
from pathlib import Path

import numpy as np

from mmlite.datasets.formats.survey import open_sequence
from mmlite.errors import UserError

RECIPES = {
    ('pretrain', 'vit-tiny'): 'pretrain/mae/mae_vit-tiny_8xb512-amp-coslr-400e_in1k',
    ('pretrain', 'hiera-tiny'): 'pretrain/mae/mae_hiera-tiny_8xb512-amp-coslr-400e_in1k',
    ('det', 'vit-tiny'): 'det/mask-rcnn_vit-tiny-sfp_8xb8-amp-lsj-100e_coco-640px',
    ('det', 'hiera-tiny'): 'det/mask-rcnn_hiera-tiny-fpn_8xb8-amp-lsj-100e_coco-640px',
    ('seg', 'vit-tiny'): 'seg/semfpn_vit-tiny_8xb2-amp-160k_ade20k-512x512',
    ('seg', 'hiera-tiny'): 'seg/semfpn_hiera-tiny_8xb2-amp-160k_ade20k-512x512',
    ('cls', 'vit-tiny'): 'cls/vit-tiny_8xb128-coslr-300e_in1k',
    ('cls', 'hiera-tiny'): 'cls/hiera-tiny_8xb128-coslr-300e_in1k',
    ('track', 'vit-tiny'): 'track/ostrack_vit-tiny-ce_4xb32-300e_sot-256px',
    ('track', 'hiera-tiny'): 'track/ostrack_hiera-tiny_4xb32-300e_sot-256px',
}
# each for a GPU and for a CPU: images a step, passes over the data, and limits of the steps
BATCH = dict(pretrain=(256, 64), det=(8, 4), seg=(8, 8), cls=(128, 32), track=(32, 16))
PASSES = dict(pretrain=(400, 40), det=(60, 12), seg=(200, 30), cls=(100, 20), track=(60, 10))
STEPS = dict(
    pretrain=((5000, 300000), (400, 2000)),
    det=((2000, 90000), (400, 2000)),
    seg=((2000, 80000), (400, 2000)),
    cls=((1000, 300000), (200, 2000)),
    track=((2000, 100000), (400, 1000)),
)
IMAGE_SIZE = dict(det=320, seg=256, cls=128)  # on a CPU
TRACK_STEPS = 100  # an epoch
FOLDERS = dict(det='{}2017', seg='images/{}', cls='{}', track='{}')  # of a split


def starter_config(record, folder, backbone='vit-tiny', init=None, gpus=0):
    """Text of a config that trains on a data set from a recipe of the suite.

    Args:
        record (Record): With the splits ``train`` and ``val``, as
            :func:`~mmlite.datasets.formats.write.write_record` wrote it to ``folder``.
        folder (str | Path): The data; for ``'pretrain'`` all images below it are taken.
        backbone (str): ``'vit-tiny'`` or ``'hiera-tiny'``. Defaults to ``'vit-tiny'``.
        init (str, optional): Checkpoint of the backbone. Defaults to random weights.
        gpus (int): Number of GPUs; with 0 the small recipe for CPUs. Defaults to 0.

    Returns:
        str: Python source of at most 25 lines.
    """
    task, cpu = record.task, gpus == 0
    if (task, backbone) not in RECIPES:
        raise UserError(f'no recipe for {task} with {backbone}')
    _check_layout(record, Path(folder))
    recipe = RECIPES[task, backbone]
    recipe = f'shapes/{recipe}_shapes' if cpu else recipe
    items = record.splits['train'].images
    images = sum(len(open_sequence(item)) if item.is_dir() else 1 for item in items)
    batch = max(min(BATCH[task][cpu], images // max(gpus, 1)), 2)
    unit = 'iters' if task in ('det', 'seg') else 'epochs'
    steps = np.clip(PASSES[task][cpu] * images / batch / max(gpus, 1), *STEPS[task][cpu])
    epoch = TRACK_STEPS if task == 'track' else max(images // (batch * max(gpus, 1)), 1)
    length = math.ceil(steps / (100 if unit == 'iters' else epoch))
    options = f'{unit}={length * 100 if unit == "iters" else length}'
    if cpu and task in IMAGE_SIZE:
        options += f', image_size={IMAGE_SIZE[task]}'
    lines = [
        f'# {task} on {Path(folder).resolve().name!r}: {images} training images',
        f"_base_ = 'mmlite::{recipe}.py'",
        f'root = {Path(folder).as_posix() + "/"!r}',
        f'overrides = dict({options})',
        *_DATA[task](record, batch),
    ]
    if task != 'pretrain':
        lines.append('test_dataloader = val_dataloader')
        lines += ['test_evaluator = val_evaluator'] if task != 'track' else []
    lines.append('auto_scale_lr = dict(enable=True)')
    if init:
        value = f"dict(init_cfg=dict(type='Pretrained', checkpoint={str(init)!r}))"
        own = any(line.startswith('model = ') for line in lines)
        lines.append(f"model['backbone'] = {value}" if own else f'model = dict(backbone={value})')
    return '\n'.join(lines) + '\n'


def _check_layout(record, folder):
    """Refuse a data set without training or validation data, or in another layout."""
    needed = ('train',) if record.task == 'pretrain' else ('train', 'val')
    for split, kind in zip(needed, ('training', 'validation'), strict=False):
        if split not in record.splits:
            hint = ': import it with --split 0.9' if split == 'val' else ''
            raise UserError(f"'{folder}' has no {kind} split{hint}")
        place = folder / FOLDERS.get(record.task, '').format(split)
        if not place.is_dir():
            raise UserError(
                f"'{folder}' ({record.format}) has no directory {place.relative_to(folder)}: "
                f'import it first, mmlite data import {shlex.quote(str(folder))} --to DIR'
            )


def _det(record, batch):
    objects = [a for s in ('train', 'val') for a in record.splits[s].labels['annotations']]
    masks = all('segmentation' in item for item in objects)
    head = 'mask_head=heads' if masks else 'mask_head=None, mask_roi_extractor=None'
    train, val, metric = 'mine', 'mine', ''
    boxes = []
    if not masks:
        boxes = [
            'train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline',
            'train_pipeline[1].update(with_mask=False)',
            'test_pipeline[2].update(with_mask=False)',
        ]
        train, val = (f'dict(mine, pipeline={name}_pipeline)' for name in ('train', 'test'))
        metric = ", metric='bbox'"
    return [
        f'classes = {tuple(record.classes)!r}',
        'heads = dict(num_classes=len(classes))',
        f'model = dict(roi_head=dict(bbox_head=heads, {head}))',
        *boxes,
        'mine = dict(data_root=root, metainfo=dict(classes=classes))',
        f'train_dataloader = dict(batch_size={batch}, dataset={train})',
        f'val_dataloader = dict(dataset={val})',
        f"val_evaluator = dict(ann_file=root + 'annotations/instances_val2017.json'{metric})",
    ]


def _seg(record, batch):
    zero = record.reduce_zero_label
    return [
        f'classes = {tuple(record.classes)!r}',
        'model = dict(decode_head=dict(num_classes=len(classes)))',
        "mine = dict(_delete_=True, type='BaseSegDataset', data_root=root,",
        f'            metainfo=dict(classes=classes), reduce_zero_label={zero})',
        f'train_dataloader = dict(batch_size={batch}, dataset=dict(mine, '
        'pipeline=_base_.train_pipeline,',
        "    data_prefix=dict(img_path='images/train', seg_map_path='annotations/train')))",
        'val_dataloader = dict(dataset=dict(mine, pipeline=_base_.test_pipeline,',
        "    data_prefix=dict(img_path='images/val', seg_map_path='annotations/val')))",
        'val_evaluator = dict()',
    ]


def _cls(record, batch):
    count = len(record.classes)
    topk = '(1, 5)' if count >= 5 else '(1,)'
    return [
        f'num_classes = {count}',
        'model = dict(head=dict(num_classes=num_classes),',
        '             data_preprocessor=dict(num_classes=num_classes))',
        "mine = dict(_delete_=True, type='mmlite.ImageFolder', data_root=root)",
        f'train_dataloader = dict(batch_size={batch}, dataset=dict(',
        "    mine, data_prefix='train', pipeline=_base_.train_pipeline))",
        "val_dataloader = dict(dataset=dict(mine, data_prefix='val', "
        'pipeline=_base_.test_pipeline))',
        f'val_evaluator = dict(topk={topk})',
    ]


def _track(record, batch):
    return [
        "train = dict(type='mmlite.FrameFolderDataset', data_root=root + 'train/')",
        f'train_dataloader = dict(batch_size={batch}, dataset=dict(',
        f'    datasets=[train], ratios=[1], samples_per_epoch={TRACK_STEPS * batch}))',
        "val_dataloader = dict(dataset=dict(_delete_=True, type='mmlite.FrameFolderDataset',",
        "                                   data_root=root + 'val/'))",
    ]


def _pretrain(record, batch):
    return [
        f'train_dataloader = dict(batch_size={batch}, dataset=dict(',
        "    type='mmlite.ImageFolder', data_root=root, data_prefix=''))",
    ]


_DATA = dict(det=_det, seg=_seg, cls=_cls, track=_track, pretrain=_pretrain)
