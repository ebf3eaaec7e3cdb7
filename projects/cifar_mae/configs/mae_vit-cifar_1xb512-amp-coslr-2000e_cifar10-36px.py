"""Stage 1: masked autoencoder on the data that it is fine-tuned on (arXiv 2402.03752)."""

_base_ = './_base_/vit-cifar_36px.py'
model = dict(
    type='mmlite.DiscountedMAE',
    backbone=dict(out_type='raw', weight_init='mae'),
    neck=dict(
        type='mmlite.MaskedDecoder', in_channels=192, out_channels=27, grid=12, embed_dims=96,
        depth=2, num_heads=6, mlp_ratio=2, pos_embed='learned',
    ),
    head=dict(type='mmlite.PixelHead', patch_size=3, norm_pix=False),
    mask_ratio=0.75,
    discount=0.1,
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
)  # fmt: skip
train_pipeline = [
    _base_.to_bgr,
    dict(
        type='mmlite.RandomResizedCrop', scale=_base_.image_size, crop_ratio_range=(0.2, 1.0),
        interpolation='bicubic',
    ),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackInputs'),
]  # fmt: skip
train_dataloader = dict(batch_size=512, dataset=dict(pipeline=train_pipeline))
max_epochs = 2000
train_cfg = dict(max_epochs=max_epochs)
optim_wrapper = dict(
    type='AmpOptimWrapper',
    # 1.5e-4 for 256 images
    optimizer=dict(type='AdamW', lr=3e-4, betas=(0.9, 0.95), weight_decay=0.05),
    constructor='mmlite.LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(
        norm_decay_mult=0.0, bias_decay_mult=0.0, flat_decay_mult=0.0,
        custom_keys=dict(pos_embed=dict(decay_mult=0.0)),
    ),
)  # fmt: skip
param_scheduler = [
    dict(
        type='LinearLR', start_factor=1e-6, by_epoch=True, begin=0, end=100,
        convert_to_iter_based=True,
    ),
    dict(
        type='CosineAnnealingLR', eta_min=0.0, by_epoch=True, begin=100, end=max_epochs,
        convert_to_iter_based=True,
    ),
]  # fmt: skip
auto_scale_lr = dict(enable=False, base_batch_size=512)
default_hooks = dict(checkpoint=dict(interval=50))
