"""SimMIM, Swin-1G, on generated images; windows of 3 tokens divide its maps of 24 to 3."""

_base_ = [
    '../../../pretrain/simmim/simmim_swin-1g_8xb256-amp-steplr-400e_in1k.py',
    '../../../_base_/shapes_pretrain.py',
]
model = dict(backbone=dict(img_size=_base_.small_size, window_size=3), neck=dict(window_size=3))
train_pipeline = _base_.train_pipeline
train_pipeline[1].update(_base_.small_crop)
small_set = dict(_base_.small_set, _delete_=True, pipeline=train_pipeline)
train_dataloader = dict(_base_.small_loader, dataset=small_set)
train_cfg = _base_.small_cfg
optim_wrapper = _base_.small_wrapper
param_scheduler = _base_.small_schedule
auto_scale_lr = _base_.small_scale_lr
default_hooks = _base_.small_hooks
