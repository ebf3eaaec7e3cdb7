"""D-MAE on generated images, taught by the ViT-Tiny of mae_vit-tiny_*_shapes.py."""

_base_ = [
    '../../../pretrain/d-mae/d-mae_vit-tiny_8xb512-amp-coslr-400e_in1k.py',
    '../../../_base_/shapes_pretrain.py',
]
teacher = 'work_dirs/mae_vit-tiny_8xb512-amp-coslr-400e_in1k_shapes/epoch_20.pth'
small_teacher = dict(_base_.small_teacher, init_cfg=dict(checkpoint=teacher))
model = dict(_base_.small_model, distill=dict(teacher=small_teacher))
train_pipeline = _base_.train_pipeline
train_pipeline[1].update(_base_.small_crop)
small_set = dict(_base_.small_set, _delete_=True, pipeline=train_pipeline)
train_dataloader = dict(_base_.small_loader, dataset=small_set)
train_cfg = _base_.small_cfg
optim_wrapper = _base_.small_wrapper
param_scheduler = _base_.small_schedule
auto_scale_lr = _base_.small_scale_lr
default_hooks = _base_.small_hooks
