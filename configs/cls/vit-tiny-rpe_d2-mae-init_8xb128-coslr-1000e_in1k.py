"""From D2-MAE, 1000 epochs with relative position tables (paper: 79.4).

Semantic-FPN reaches its 42.8 mIoU from these weights: configs/seg/README.md.
"""

_base_ = './vit-tiny-rpe_8xb128-coslr-1000e_in1k.py'
checkpoint = 'checkpoints/d2-mae_vit-tiny_400e_in1k.pth'
model = dict(backbone=dict(init_cfg=dict(type='Pretrained', checkpoint=checkpoint)))
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.85))
