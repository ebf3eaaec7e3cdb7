"""From the same recipe, once more for 300 epochs (paper: 76.5); the layer decay is ours."""

_base_ = './vit-tiny_8xb128-coslr-300e_in1k.py'
checkpoint = 'checkpoints/vit-tiny_300e_in1k.pth'
model = dict(backbone=dict(init_cfg=dict(type='Pretrained', checkpoint=checkpoint)))
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.85))
