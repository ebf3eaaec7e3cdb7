"""A small MAE recipe and a folder of images: shared by tests of the tools for pre-training."""

import cv2
import numpy as np
import torch

CONFIG = """
default_scope = 'mmpretrain'
data_root = {root!r}
train_pipeline = [
    dict(type='mmlite.LoadImageFromFile'),
    dict(type='mmlite.RandomResizedCrop', scale=32, interpolation='nearest'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    drop_last=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='CustomDataset', data_root=data_root, data_prefix='train', pipeline=train_pipeline
    ),
)
model = dict(
    type='mmlite.MAE',
    data_preprocessor=dict(
        type='SelfSupDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True,
    ),
    backbone=dict(
        type='mmlite.ViT',
        arch=dict(embed_dims=24, num_layers=2, num_heads=3),
        img_size=32,
        patch_size=8,
        out_type='raw',
        pos_embed='sincos',
    ),
    neck=dict(
        type='mmlite.MaskedDecoder', in_channels=24, out_channels=192, grid=4, embed_dims=12
    ),
    head=dict(type='mmlite.PixelHead', patch_size=8),
)
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05),
    constructor='mmlite.LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(norm_decay_mult=0.0),
)
"""

DISTILLED = """
model.update(distill=dict(
    type='mmlite.Distillation',
    teacher=dict(
        type='mmlite.ViT', arch=model['backbone']['arch'], img_size=32, patch_size=8,
        out_type='raw', init_cfg=dict(type='Pretrained', checkpoint='not-there.pth'),
    ),
    pairs=[dict(
        student='blocks.1.attn_logits', teacher='blocks.1.attn_logits',
        adapter=dict(type='mmlite.HeadMixing'),
    )],
))
"""


def image(number, height=40, width=56):
    """A smooth BGR image with a different gradient in each channel."""
    y, x = np.mgrid[:height, :width].astype(float)
    planes = [4 * x + number, 5 * y, 60.0 + 10 * number + 0 * x]
    return np.stack(planes, axis=-1).astype(np.uint8)


def write_images(root, count=6):
    """PNG files ``train/<class>/<n>.png`` below ``root``, of two classes in turn."""
    for number in range(count):
        folder = root / 'train' / f'class_{number % 2}'
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f'{number}.png'), image(number))


def write_recipe(root, extra='', images=True):
    """Write the recipe, and its images unless told otherwise; returns the config."""
    if images:
        write_images(root)
    config = root / 'mae.py'
    config.write_text(CONFIG.format(root=str(root / '') + '/') + extra)
    return config


def pixels(count=2, size=32, seed=0):
    """A batch of random images (count, 3, size, size)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=generator)


def save_backbone(path, backbone):
    """Write a checkpoint of a backbone as a pre-training leaves it; returns the path."""
    path.parent.mkdir(exist_ok=True)
    state = {f'backbone.{key}': value for key, value in backbone.state_dict().items()}
    torch.save(dict(meta=dict(backbone=backbone.describe()), state_dict=state), path)
    return path
