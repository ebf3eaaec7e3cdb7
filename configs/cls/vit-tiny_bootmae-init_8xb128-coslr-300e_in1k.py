"""From BootMAE (paper: 77.9); the layer decay is ours."""

_base_ = './vit-tiny_8xb128-coslr-300e_in1k.py'
checkpoint = 'checkpoints/bootmae_vit-tiny_400e_in1k.pth'
model = dict(backbone=dict(init_cfg=dict(type='Pretrained', checkpoint=checkpoint)))
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.85))
