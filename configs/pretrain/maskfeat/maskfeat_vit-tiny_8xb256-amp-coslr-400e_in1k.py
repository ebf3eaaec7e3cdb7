"""MaskFeat, ViT-Tiny, 400 epochs: HOG of 78 of 196 patches, hidden in blocks."""

_base_ = [
    '../../_base_/models/pretrain_vit-tiny.py',
    '../../_base_/datasets/imagenet_pretrain.py',
    '../../_base_/schedules/adamw-coslr-400e_pretrain.py',
    '../../_base_/pretrain_runtime.py',
]
model = dict(
    type='mmlite.MaskFeat',
    neck=dict(
        type='LinearNeck',
        norm_cfg=None,
        init_cfg=dict(type='TruncNormal', layer='Linear', std=0.02, bias=0),
    ),
    head=dict(type='MIMHead', loss=dict(type='PixelReconstructionLoss', criterion='L2')),
    target_generator=dict(type='mmlite.HOGTarget', nbins=9, pool=8, window=16),
)
train_pipeline = _base_.train_pipeline
train_pipeline[1].update(crop_ratio_range=(0.5, 1.0), interpolation='bicubic')
train_pipeline[3:] = [
    dict(type='mmlite.BlockwiseMask', input_size=14, num_masking_patches=78, min_num_patches=15),
    dict(type='PackInputs', algorithm_keys=['hidden_ids']),
]
train_dataloader = dict(batch_size=256, dataset=dict(pipeline=train_pipeline))
# 2e-4 per 256 images, and 1e-6 per 256 at both ends; class and mask token are decayed
optim_wrapper = dict(optimizer=dict(lr=1.6e-3, betas=(0.9, 0.999)))
custom_hooks = [*_base_.custom_hooks, dict(type='mmlite.ClipNormHook', max_norm=0.02)]
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(start_factor=8e-6 / 1.6e-3, end=30)
param_scheduler[1].update(eta_min=8e-6, begin=30)
# `--auto-scale-lr` scales the learning rate from 8 GPUs x 256 images to the actual batch
auto_scale_lr = dict(base_batch_size=2048)
