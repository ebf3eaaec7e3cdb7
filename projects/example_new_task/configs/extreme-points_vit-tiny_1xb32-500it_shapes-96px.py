"""Extreme points with ViT-Tiny on generated images of 96 pixels."""

_base_ = '../../../configs/_base_/default_runtime.py'
default_scope = 'mmlite'
custom_imports = dict(
    imports=['projects.example_new_task.extreme_points', 'projects.example_new_task.point_model']
)
make_data = (
    'python tools/dataset_converters/make_shapes.py --tasks det --out data/shapes-points '
    '--train 1000 --val 200 --size 128 --classes 4 --class-colors --max-objects 1 '
    '--min-size 0.3 --max-size 0.6'
)
data_root = 'data/shapes-points/coco/'
image_size = 96
model = dict(
    type='PointModel',
    backbone=dict(type='ViT', arch='tiny', img_size=image_size, final_norm=True),
    in_channels=192,
    data_preprocessor=dict(
        type='ImgDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
    ),
)
load = dict(type='LoadImageFromFile')
resize = dict(type='Resize', scale=(image_size, image_size))
flip = dict(type='RandomFlip', prob=0.5)
pack = dict(type='PackPoints')
train_dataloader = dict(
    batch_size=32,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='ExtremePoints',
        data_root=data_root,
        ann_file='annotations/instances_train2017.json',
        data_prefix=dict(img='train2017'),
        pipeline=[load, resize, flip, pack],
    ),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ExtremePoints',
        data_root=data_root,
        ann_file='annotations/instances_val2017.json',
        data_prefix=dict(img='val2017'),
        pipeline=[load, resize, pack],
        test_mode=True,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='PointAccuracy')
test_evaluator = val_evaluator
max_iters = 500
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=100)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=5e-4, weight_decay=0.05),
    clip_grad=dict(max_norm=1.0),
    constructor='LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0, flat_decay_mult=0.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=50, end=max_iters),
]
default_hooks = dict(logger=dict(interval=20), checkpoint=dict(interval=100))
visualizer = dict(type='Visualizer', vis_backends=_base_.vis_backends, name='visualizer')
