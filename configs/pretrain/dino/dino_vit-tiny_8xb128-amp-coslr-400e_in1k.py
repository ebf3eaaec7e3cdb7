"""DINO, ViT-Tiny, 400 epochs: the official defaults.

MAE-Lite does not publish batch and learning rate of its DINO; here 5e-4 per 256 images as in DINO.
"""

_base_ = [
    '../../_base_/models/pretrain_vit-tiny.py',
    '../../_base_/datasets/imagenet_views.py',
    '../../_base_/schedules/adamw-coslr-400e_pretrain.py',
    '../../_base_/pretrain_runtime.py',
]
prototypes = 65536
model = dict(
    type='mmlite.DINO',
    backbone=dict(
        out_type='cls_token',
        drop_path_rate=0.1,  # of the student, the teacher has none
    ),
    neck=dict(
        type='mmlite.DINOProjector',
        in_channels=192,
        out_channels=prototypes,
        hidden_channels=2048,
        bottleneck_channels=256,
    ),
    head=dict(
        type='mmlite.DINOLoss',
        out_channels=prototypes,
        student_temperature=0.1,
        teacher_temperature=0.04,
        center_momentum=0.9,
    ),
    num_global_views=2,
    base_momentum=0.996,
)

# (size, area, probability of blur, of solarization) of first and second global and of local views
crops = (
    (224, (0.4, 1.0), 1.0, 0.0),
    (224, (0.4, 1.0), 0.1, 0.2),
    (96, (0.05, 0.4), 0.5, 0.0),
)
views = [
    [
        dict(
            type='mmlite.RandomResizedCrop', scale=size, crop_ratio_range=area,
            interpolation='bicubic',
        ),
        _base_.flip,
        _base_.jitter,
        _base_.gray,
        dict(_base_.blur, prob=blur_prob),
        dict(_base_.solarize, prob=solarize_prob),
    ]
    for size, area, blur_prob, solarize_prob in crops
]  # fmt: skip
train_pipeline = [
    dict(type='mmlite.LoadImageFromFile'),
    dict(type='MultiView', num_views=[1, 1, 8], transforms=views),
    dict(type='PackInputs'),
]
train_dataloader = dict(batch_size=128, dataset=dict(pipeline=train_pipeline))

max_epochs = _base_.max_epochs
optim_wrapper = dict(optimizer=dict(lr=2e-3, betas=(0.9, 0.999), weight_decay=0.04))
param_scheduler = [
    dict(
        type='LinearLR', start_factor=1e-6, by_epoch=True, begin=0, end=10,
        convert_to_iter_based=True,
    ),
    dict(
        type='CosineAnnealingLR', eta_min=1e-6, by_epoch=True, begin=10, end=max_epochs,
        convert_to_iter_based=True,
    ),
    dict(
        type='CosineAnnealingWeightDecay', eta_min=0.4, by_epoch=True, begin=0, end=max_epochs,
        convert_to_iter_based=True,
    ),
]  # fmt: skip
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='mmlite.ClipEachTensorHook', max_norm=3.0),
    dict(type='mmlite.FreezeLayersHook', names=['neck.last_layer'], epochs=1),
]
auto_scale_lr = dict(base_batch_size=1024)
