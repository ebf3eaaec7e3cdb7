"""Stage 1 on CIFAR-100."""

_base_ = ['./mae_vit-cifar_1xb512-amp-coslr-2000e_cifar10-36px.py', './_base_/cifar100.py']
model = dict(data_preprocessor=_base_.pixels)
train_dataloader = dict(dataset=_base_.dataset)
