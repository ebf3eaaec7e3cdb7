"""From MAE (paper: 78.5)."""

_base_ = './hiera-tiny_8xb128-coslr-300e_in1k.py'
checkpoint = 'checkpoints/mae_hiera-tiny_400e_in1k.pth'
model = dict(backbone=dict(init_cfg=dict(type='Pretrained', checkpoint=checkpoint)))
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.85))
