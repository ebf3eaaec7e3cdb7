"""Stage 1 on generated images: a smaller network, 20 epochs."""

_base_ = ['./mae_vit-cifar_1xb512-amp-coslr-2000e_cifar10-36px.py', './_base_/shapes.py']
model = dict(
    backbone=dict(arch=_base_.small_arch),
    neck=dict(in_channels=_base_.small_width, embed_dims=48, depth=1, num_heads=3),
)
train_dataloader = _base_.small_loader
max_epochs = 20
train_cfg = dict(max_epochs=max_epochs)
optim_wrapper = _base_.small_wrapper
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=2)
param_scheduler[1].update(begin=2, end=max_epochs)
auto_scale_lr = _base_.small_scale_lr
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(interval=10))
