"""Supervised from random weights: what pre-training is compared with."""

_base_ = './_base_/vit-cifar_36px.py'
model = dict(
    type='ImageClassifier',
    backbone=dict(out_type='cls_token', drop_path_rate=0.1),
    head=dict(
        type='LinearClsHead', num_classes=10, in_channels=192,
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'),
        init_cfg=dict(type='TruncNormal', layer='Linear', std=0.02),
    ),
    train_cfg=dict(augments=[dict(type='Mixup', alpha=0.8), dict(type='CutMix', alpha=1.0)]),
    data_preprocessor=dict(type='ClsDataPreprocessor', num_classes=10),
)  # fmt: skip
resize = dict(
    type='Resize', scale=(_base_.image_size, _base_.image_size), interpolation='bicubic',
    backend='pillow',
)  # fmt: skip
train_pipeline = [
    _base_.to_bgr,
    resize,
    dict(type='RandomCrop', crop_size=_base_.image_size, padding=4),
    dict(type='RandomFlip', prob=0.5),
    dict(
        type='RandAugment', policies='timm_increasing', num_policies=2, total_level=10,
        magnitude_level=9, magnitude_std=0.5,
        hparams=dict(pad_val=[114, 123, 125], interpolation='bicubic'),
    ),
    dict(type='PackInputs'),
]  # fmt: skip
test_pipeline = [_base_.to_bgr, resize, dict(type='PackInputs')]
train_dataloader = dict(batch_size=256, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=500,
    num_workers=4,
    persistent_workers=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='CIFAR10', data_root=_base_.data_root, split='test', test_mode=True,
        pipeline=test_pipeline,
    ),
)  # fmt: skip
test_dataloader = val_dataloader
val_evaluator = dict(type='Accuracy', topk=(1,))
test_evaluator = val_evaluator
max_epochs = 300
train_cfg = dict(max_epochs=max_epochs, val_interval=10)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(
    type='AmpOptimWrapper',
    # for 256 images
    optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.999), weight_decay=0.05),
    constructor='mmlite.LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(
        norm_decay_mult=0.0, bias_decay_mult=0.0, flat_decay_mult=0.0,
        respect_no_weight_decay=True,
    ),
)  # fmt: skip
param_scheduler = [
    dict(
        type='LinearLR', start_factor=1e-6, by_epoch=True, begin=0, end=15,
        convert_to_iter_based=True,
    ),
    dict(
        type='CosineAnnealingLR', eta_min_ratio=1e-3, by_epoch=True, begin=15, end=max_epochs,
        convert_to_iter_based=True,
    ),
]  # fmt: skip
auto_scale_lr = dict(enable=False, base_batch_size=256)
