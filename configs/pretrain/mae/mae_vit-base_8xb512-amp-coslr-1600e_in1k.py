"""MAE, ViT-Base, 1600 epochs, as in the original: the teacher of D-MAE and D2-MAE."""

_base_ = './mae_vit-tiny_8xb512-amp-coslr-400e_in1k.py'
max_epochs = 1600
model = dict(
    backbone=dict(arch='base'),
    neck=dict(in_channels=768, embed_dims=512, depth=8, num_heads=16),
)
train_pipeline = _base_.train_pipeline
train_pipeline[1].update(crop_ratio_range=(0.2, 1.0), interpolation='bicubic')
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(end=max_epochs)
