"""From SimMIM (paper's code: 77.4)."""

_base_ = './swin-1g_8xb128-coslr-300e_in1k.py'
checkpoint = 'checkpoints/simmim_swin-1g_400e_in1k.pth'
model = dict(backbone=dict(init_cfg=dict(type='Pretrained', checkpoint=checkpoint)))
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.85))
