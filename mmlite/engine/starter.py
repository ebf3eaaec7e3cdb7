"""A first config for data of one's own."""

import math
from pathlib import Path

from mmlite.errors import UserError

RECIPES = {
    ('det', 'vit-tiny'): 'det/mask-rcnn_vit-tiny-sfp_8xb8-amp-lsj-100e_coco-640px',
    ('det', 'hiera-tiny'): 'det/mask-rcnn_hiera-tiny-fpn_8xb8-amp-lsj-100e_coco-640px',
    ('seg', 'vit-tiny'): 'seg/semfpn_vit-tiny_8xb2-amp-160k_ade20k-512x512',
    ('seg', 'hiera-tiny'): 'seg/semfpn_hiera-tiny_8xb2-amp-160k_ade20k-512x512',
    ('cls', 'vit-tiny'): 'cls/vit-tiny_8xb128-coslr-300e_in1k',
    ('cls', 'hiera-tiny'): 'cls/hiera-tiny_8xb128-coslr-300e_in1k',
    ('track', 'vit-tiny'): 'track/ostrack_vit-tiny-ce_4xb32-300e_sot-256px',
    ('track', 'hiera-tiny'): 'track/ostrack_hiera-tiny_4xb32-300e_sot-256px',
}
BATCH = dict(det=(8, 4), seg=(8, 8), cls=(128, 32), track=(32, 16))  # a GPU, a CPU
PASSES = dict(det=(60, 12), seg=(200, 30), cls=(100, 20), track=(60, 20))  # over the data
STEPS = dict(det=((2000, 90000), (400, 2000)), seg=((2000, 80000), (400, 2000)))  # limits
IMAGE_SIZE = dict(det=320, seg=256, cls=128)  # on a CPU


def starter_config(record, folder, backbone='vit-tiny', init=None, gpus=0):
    """Text of a config that trains on a data set from a recipe of the suite.

    Args:
        record (Record): With the splits ``train`` and ``val``, as
            :func:`~mmlite.datasets.formats.write.write_record` wrote it to ``folder``.
        folder (str | Path): The data.
        backbone (str): ``'vit-tiny'`` or ``'hiera-tiny'``. Defaults to ``'vit-tiny'``.
        init (str, optional): Checkpoint of the backbone. Defaults to random weights.
        gpus (int): Number of GPUs; with 0 the small recipe for CPUs. Defaults to 0.

    Returns:
        str: Python source of at most 25 lines.
    """
    task = record.task
    if (task, backbone) not in RECIPES:
        raise UserError(f'no recipe for {task} with {backbone}')
    if 'val' not in record.splits:
        raise UserError(f"'{folder}' has no validation split: import it with --split 0.9")
    cpu = gpus == 0
    recipe = RECIPES[task, backbone]
    recipe = f'shapes/{recipe}_shapes' if cpu else recipe
    images = len(record.splits['train'].images)
    batch = max(min(BATCH[task][cpu], images // max(gpus, 1)), 2)
    size = IMAGE_SIZE.get(task) if cpu else None
    options = _length(task, images, batch * max(gpus, 1), cpu)
    options += f', image_size={size}' if size else ''
    lines = [
        f'"""{record.task} on {Path(folder).name}: {images} training images."""',
        '',
        f"_base_ = 'mmlite::{recipe}.py'",
        f"root = '{Path(folder).as_posix()}/'",
        f'overrides = dict({options})',
        *_DATA[task](record, batch),
        'test_dataloader = val_dataloader',
        *(['test_evaluator = val_evaluator'] if task != 'track' else []),
        'auto_scale_lr = dict(enable=True)',
    ]
    if init:
        init_cfg = f"dict(type='Pretrained', checkpoint='{init}')"
        backbone = f'dict(init_cfg={init_cfg})'
        own = any(line.startswith('model = ') for line in lines)
        lines.append(
            f"model['backbone'] = {backbone}" if own else f'model = dict(backbone={backbone})'
        )
    return '\n'.join(lines) + '\n'


def _length(task, images, batch, cpu):
    steps = PASSES[task][cpu] * images / batch
    if task not in STEPS:
        return f'epochs={PASSES[task][cpu]}'
    low, high = STEPS[task][cpu]
    return f'iters={math.ceil(min(max(steps, low), high) / 100) * 100}'


def _det(record, batch):
    objects = record.splits['train'].labels['annotations']
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
        "mine = dict(_delete_=True, type='CustomDataset', data_root=root)",
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
        '    datasets=[train], ratios=[1], samples_per_epoch=640))',
        "val_dataloader = dict(dataset=dict(_delete_=True, type='mmlite.FrameFolderDataset',",
        "                                   data_root=root + 'val/'))",
    ]


_DATA = dict(det=_det, seg=_seg, cls=_cls, track=_track)
