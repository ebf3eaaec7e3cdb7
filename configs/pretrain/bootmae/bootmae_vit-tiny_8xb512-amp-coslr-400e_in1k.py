"""BootMAE, ViT-Tiny, 400 epochs (decoders as MAE-Lite's: one block, 96 channels, 3 heads)."""

_base_ = [
    '../../_base_/models/pretrain_vit-tiny.py',
    '../../_base_/datasets/imagenet_pretrain.py',
    '../../_base_/schedules/adamw-coslr-400e_pretrain.py',
    '../../_base_/pretrain_runtime.py',
]
decoder = dict(type='mmlite.BootMAEDecoder', in_channels=192, embed_dims=96, depth=1, num_heads=3)
model = dict(
    type='mmlite.BootMAE',
    data_preprocessor=dict(mean=[127.5] * 3, std=[127.5] * 3),
    backbone=dict(pos_embed='sincos', weight_init='moco'),
    pixel_decoder=dict(decoder, out_channels=768),
    feature_decoder=dict(decoder, out_channels=192),
    mask_ratio=0.75,
)

train_pipeline = [
    dict(type='mmlite.LoadImageFromFile'),
    dict(
        type='mmlite.RandomResizedCrop', scale=224, crop_ratio_range=(0.2, 1.0),
        interpolation='bicubic',
    ),
    dict(type='RandomFlip', prob=0.5),
    # 120 of 196 patches in blocks; the model hides 27 more
    dict(
        type='mmlite.BlockwiseMask', input_size=14, num_masking_patches=120, min_num_patches=16,
        max_num_patches=60,
    ),
    dict(type='PackInputs', algorithm_keys=['hidden_ids']),
]  # fmt: skip
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(cls_token=dict(decay_mult=0.0))))
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(eta_min=1e-4)
