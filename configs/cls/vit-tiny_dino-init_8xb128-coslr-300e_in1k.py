"""From DINO (paper: 77.2); the layer decay is MoCo-v3's."""

_base_ = './vit-tiny_8xb128-coslr-300e_in1k.py'
checkpoint = 'checkpoints/dino_vit-tiny_400e_in1k.pth'
model = dict(backbone=dict(init_cfg=dict(type='Pretrained', checkpoint=checkpoint)))
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.75))
