"""Stage 2 on generated images."""

_base_ = './vit-cifar_1xb256-amp-coslr-300e_cifar10-36px_shapes.py'
checkpoint = 'work_dirs/mae_vit-cifar_1xb512-amp-coslr-2000e_cifar10-36px_shapes/epoch_20.pth'
model = dict(backbone=dict(init_cfg=dict(type='Pretrained', checkpoint=checkpoint)))
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.85))
