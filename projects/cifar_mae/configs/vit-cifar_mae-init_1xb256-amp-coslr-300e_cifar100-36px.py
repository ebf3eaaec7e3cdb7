"""Stage 2: fine-tuning from stage 1 (paper: 78.27 on CIFAR-100)."""

_base_ = './vit-cifar_1xb256-amp-coslr-300e_cifar100-36px.py'
checkpoint = 'work_dirs/mae_vit-cifar_1xb512-amp-coslr-2000e_cifar100-36px/epoch_2000.pth'
model = dict(backbone=dict(init_cfg=dict(type='Pretrained', checkpoint=checkpoint)))
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.85))
