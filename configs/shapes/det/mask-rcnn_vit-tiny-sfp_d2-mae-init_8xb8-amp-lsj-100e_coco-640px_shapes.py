"""From the small D2-MAE's weights, in half the iterations."""

_base_ = './mask-rcnn_vit-tiny-sfp_8xb8-amp-lsj-100e_coco-640px_shapes.py'
checkpoint = 'work_dirs/d2-mae_vit-tiny_8xb512-amp-coslr-400e_in1k_shapes/epoch_20.pth'
max_iters = 300
model = dict(backbone=dict(init_cfg=dict(type='Pretrained', checkpoint=checkpoint)))
train_cfg = dict(max_iters=max_iters)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(end=max_iters)
