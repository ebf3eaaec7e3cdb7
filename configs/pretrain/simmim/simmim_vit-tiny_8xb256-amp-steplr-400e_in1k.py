"""SimMIM, ViT-Tiny, 400 epochs, with fixed absolute positions and without LayerScale, as all
models of MAE-Lite's section 3 (its footnote 2)."""

_base_ = [
    '../../_base_/models/pretrain_vit-tiny.py',
    '../../_base_/datasets/imagenet_pretrain.py',
    '../../_base_/schedules/adamw-coslr-400e_pretrain.py',
    '../../_base_/pretrain_runtime.py',
]
model = dict(
    type='mmlite.SimMIM',
    backbone=dict(pos_embed='sincos', weight_init='beit'),
    neck=dict(type='SimMIMLinearDecoder'),
    head=dict(
        type='SimMIMHead', loss=dict(type='PixelReconstructionLoss', criterion='L1', channel=3)
    ),
    mask_ratio=0.6,
    mask_unit=32,
)
train_pipeline = _base_.train_pipeline
train_pipeline[1].update(crop_ratio_range=(0.67, 1.0), interpolation='bilinear')
train_dataloader = dict(batch_size=256, dataset=dict(pipeline=train_pipeline))
optim_wrapper = dict(
    optimizer=dict(lr=4e-4, betas=(0.9, 0.999)),  # 1e-4 per 512 images
    paramwise_cfg=dict(custom_keys={n: dict(decay_mult=0.0) for n in ('cls_token', 'mask_token')}),
)
custom_hooks = [*_base_.custom_hooks, dict(type='mmlite.ClipNormHook', max_norm=5.0)]
max_epochs = _base_.max_epochs
param_scheduler = [
    # from 5e-7 per 512 images
    dict(
        type='LinearLR', start_factor=2e-6 / 4e-4, by_epoch=True, begin=0, end=10,
        convert_to_iter_based=True,
    ),
    # at 7/8 of the schedule, as in the original, whose 800 epochs drop at 700
    dict(
        type='MultiStepLR', milestones=[350], gamma=0.1, by_epoch=True, begin=0, end=max_epochs,
        convert_to_iter_based=True,
    ),
]  # fmt: skip
# `--auto-scale-lr` scales the learning rate from 8 GPUs x 256 images to the actual batch
auto_scale_lr = dict(base_batch_size=2048)
