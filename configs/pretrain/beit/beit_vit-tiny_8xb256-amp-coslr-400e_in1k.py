"""BEiT, ViT-Tiny, 400 epochs, with the form in which MAE-Lite's code fine-tunes it: absolute
positions, LayerScale. The tokenizer is DALL-E's encoder; see README.md for the file."""

_base_ = [
    '../../_base_/models/pretrain_vit-tiny.py',
    '../../_base_/datasets/imagenet_pretrain.py',
    '../../_base_/schedules/adamw-coslr-400e_pretrain.py',
    '../../_base_/pretrain_runtime.py',
]
model = dict(
    type='mmlite.BEiT',
    data_preprocessor=dict(
        type='TwoNormDataPreprocessor',
        # DALL-E's encoder takes 0.8 x + 0.1 of colors in [0, 1]
        second_mean=[-31.875, -31.875, -31.875],
        second_std=[318.75, 318.75, 318.75],
    ),
    backbone=dict(
        layer_scale_init_value=0.1,
        drop_path_rate=0.1,
        weight_init='beit',
    ),
    head=dict(type='mmlite.TokenHead', num_embed=8192),
    target_generator=dict(
        type='DALL-E',
        init_cfg=dict(type='Pretrained', checkpoint='checkpoints/dalle_encoder.pth'),
    ),
)
train_pipeline = [
    dict(type='mmlite.LoadImageFromFile'),
    dict(type='ColorJitter', brightness=0.4, contrast=0.4, saturation=0.4, hue=0.0),
    dict(type='RandomFlip', prob=0.5),
    dict(
        type='mmlite.TwoSizeRandomResizedCrop', scale=224, crop_ratio_range=(0.08, 1.0),
        interpolation='bicubic', second_scale=112, second_interpolation='lanczos',
    ),
    dict(type='mmlite.BlockwiseMask', input_size=14, num_masking_patches=75, min_num_patches=16),
    dict(type='PackInputs', algorithm_keys=['hidden_ids']),
]  # fmt: skip
train_dataloader = dict(batch_size=256, dataset=dict(pipeline=train_pipeline))
optim_wrapper = dict(
    optimizer=dict(lr=1.5e-3, betas=(0.9, 0.999)),
    paramwise_cfg=dict(custom_keys={n: dict(decay_mult=0.0) for n in ('pos_embed', 'cls_token')}),
)
custom_hooks = [*_base_.custom_hooks, dict(type='mmlite.ClipNormHook', max_norm=3.0)]
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=10)
param_scheduler[1].update(eta_min=1e-5, begin=10)
# `--auto-scale-lr` scales the learning rate from 8 GPUs x 256 images to the actual batch
auto_scale_lr = dict(base_batch_size=2048)
