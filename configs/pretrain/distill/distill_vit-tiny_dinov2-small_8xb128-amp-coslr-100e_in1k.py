"""ViT-Tiny with the features of DINOv2's ViT-Small with registers (Apache-2.0), without masks.

Optimizer, learning rate (5e-4 times the root of 1024 / 1536 images), schedule, crops, jitter and
mixed images are those of LightlyTrain's distillation v3; its blur of at most 0.1 pixels is left
out. Losses and their weights are AM-RADIO's (arXiv 2312.06709), the running statistics UNIC's. The
depth of the adapters is ours, and so is the batch.
"""

_base_ = [
    '../../_base_/models/pretrain_vit-tiny.py',
    '../../_base_/datasets/imagenet_views.py',
    '../../_base_/schedules/adamw-coslr-400e_pretrain.py',
    '../../_base_/pretrain_runtime.py',
]
pair = dict(
    student='norm',
    teacher='norm',
    adapter=dict(type='mmlite.TokenMLP', hidden_channels=2048),
    target=dict(type='mmlite.Standardize'),
)
model = dict(
    type='mmlite.FeatureDistiller',
    mixup=True,
    distill=dict(
        type='mmlite.Distillation',
        teacher=dict(
            type='mmlite.TimmViT',
            model_name='vit_small_patch14_reg4_dinov2.lvd142m',
            pretrained=True,
            img_size=224,
        ),
        pairs=[
            dict(pair, tokens='patches', loss=dict(type='mmlite.CosineSmoothL1Loss')),
            dict(pair, tokens='cls', loss=dict(type='mmlite.CosineLoss')),
        ],
    ),
)

train_pipeline = [
    dict(type='mmlite.LoadImageFromFile'),
    dict(
        type='mmlite.RandomResizedCrop', scale=224, crop_ratio_range=(0.14, 1.0),
        interpolation='bicubic',
    ),
    _base_.flip,
    _base_.jitter,
    _base_.gray,
    dict(type='PackInputs'),
]  # fmt: skip
train_dataloader = dict(batch_size=128, dataset=dict(pipeline=train_pipeline))

max_epochs = 100
train_cfg = dict(max_epochs=max_epochs)
optim_wrapper = dict(
    optimizer=dict(lr=4.1e-4, betas=(0.9, 0.999), weight_decay=0.04),
    clip_grad=dict(max_norm=1.0),
)
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=10)
param_scheduler[1].update(begin=10, end=max_epochs)
auto_scale_lr = dict(base_batch_size=1024)
