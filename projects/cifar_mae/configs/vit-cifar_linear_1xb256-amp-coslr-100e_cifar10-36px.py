"""Frozen evaluation of stage 1: one linear layer on the class token, as the suite probes small
sets. ``tools/sweep.py`` takes the grid from here."""

_base_ = [
    './vit-cifar_mae-init_1xb256-amp-coslr-300e_cifar10-36px.py',
    '../../../configs/_base_/models/cls_linear.py',
    '../../../configs/_base_/schedules/sgd-coslr-100e_linear.py',
]
model = dict(
    backbone=dict(_base_.linear.backbone, drop_path_rate=0.0),
    neck=_base_.linear.neck,
    head=dict(_base_.linear.head, loss=dict(_delete_=True, type='CrossEntropyLoss')),
    train_cfg=None,
)
train_pipeline = _base_.train_pipeline
train_pipeline.pop(4)  # RandAugment
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
train_cfg = _base_.linear_train_cfg
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='SGD', lr=0.1, momentum=0.9, nesterov=True),
    paramwise_cfg=None,
)
param_scheduler = _base_.linear_schedule
sweep_grid = _base_.linear_grid
