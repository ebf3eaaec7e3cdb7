"""Supervised from random weights on CIFAR-100."""

_base_ = ['./vit-cifar_1xb256-amp-coslr-300e_cifar10-36px.py', './_base_/cifar100.py']
model = dict(
    head=dict(num_classes=_base_.classes),
    data_preprocessor=dict(num_classes=_base_.classes, **_base_.pixels),
)
train_dataloader = dict(dataset=_base_.dataset)
val_dataloader = dict(dataset=_base_.dataset)
test_dataloader = val_dataloader
