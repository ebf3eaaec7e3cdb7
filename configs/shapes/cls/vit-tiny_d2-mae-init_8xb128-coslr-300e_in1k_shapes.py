"""From the small D2-MAE's weights, in the same number of iterations."""

_base_ = './vit-tiny_8xb128-coslr-300e_in1k_shapes.py'
checkpoint = 'work_dirs/d2-mae_vit-tiny_8xb512-amp-coslr-400e_in1k_shapes/epoch_20.pth'
model = dict(backbone=dict(init_cfg=dict(type='Pretrained', checkpoint=checkpoint)))
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.85))
