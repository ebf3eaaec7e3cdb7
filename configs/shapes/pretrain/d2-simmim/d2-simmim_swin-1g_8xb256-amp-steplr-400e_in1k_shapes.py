"""Decoupled distillation of SimMIM on generated images, taught by simmim_swin-1g_*_shapes.py."""

_base_ = [
    '../../../pretrain/d2-simmim/d2-simmim_swin-1g_8xb256-amp-steplr-400e_in1k.py',
    '../../../_base_/shapes_pretrain.py',
]
teacher = 'work_dirs/simmim_swin-1g_8xb256-amp-steplr-400e_in1k_shapes/epoch_20.pth'
small_swin = dict(img_size=_base_.small_size, window_size=3)
small_pairs = _base_.model.distill.pairs
small_pairs[0].adapter[0].update(grid=(3, 3))
model = dict(
    backbone=small_swin,
    neck=dict(window_size=3),
    distill=dict(
        teacher=dict(small_swin, arch='1g', init_cfg=dict(checkpoint=teacher)), pairs=small_pairs
    ),
)
train_pipeline = _base_.train_pipeline
train_pipeline[1].update(_base_.small_crop)
small_set = dict(_base_.small_set, _delete_=True, pipeline=train_pipeline)
train_dataloader = dict(_base_.small_loader, dataset=small_set)
train_cfg = _base_.small_cfg
optim_wrapper = _base_.small_wrapper
param_scheduler = _base_.small_schedule
auto_scale_lr = _base_.small_scale_lr
default_hooks = _base_.small_hooks
