"""MoCo v3, ViT-Tiny, on generated images."""

_base_ = [
    '../../../pretrain/mocov3/mocov3_vit-tiny_8xb128-amp-coslr-400e_in1k.py',
    '../../../_base_/shapes_pretrain.py',
]
model = dict(
    backbone=dict(img_size=_base_.small_size),
    neck=dict(hid_channels=512, out_channels=64),
    head=dict(predictor=dict(in_channels=64, hid_channels=512, out_channels=64)),
)
train_pipeline = _base_.train_pipeline
for view in train_pipeline[1]['transforms']:
    view[0].update(_base_.small_crop)
small_set = dict(_base_.small_set, _delete_=True, pipeline=train_pipeline)
train_dataloader = dict(_base_.small_loader, dataset=small_set)
train_cfg = _base_.small_cfg
optim_wrapper = _base_.small_wrapper
param_scheduler = _base_.small_schedule
auto_scale_lr = _base_.small_scale_lr
default_hooks = _base_.small_hooks
