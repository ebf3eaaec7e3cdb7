"""Supervised from random weights on generated images: a smaller network, 10 epochs."""

_base_ = ['./vit-cifar_1xb256-amp-coslr-300e_cifar10-36px.py', './_base_/shapes.py']
model = dict(
    backbone=dict(arch=_base_.small_arch, drop_path_rate=0.0),
    head=dict(in_channels=_base_.small_width, loss=dict(label_smooth_val=0.0)),
    train_cfg=None,  # ten epochs are too few for mixed images
)
train_dataloader = _base_.small_loader
val_dataloader = dict(num_workers=1, dataset=_base_.small_set)
test_dataloader = val_dataloader
max_epochs = 10
train_cfg = dict(max_epochs=max_epochs)
optim_wrapper = _base_.small_wrapper
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=1)
param_scheduler[1].update(begin=1, end=max_epochs)
auto_scale_lr = _base_.small_scale_lr
default_hooks = dict(logger=dict(interval=10))
