"""ViT-Tiny on CIFAR-10, enlarged to 224 pixels, by the recipe of CIFAR-100 (the paper has none)."""

_base_ = './vit-tiny_1xb512-amp-coslr-50e_cifar100.py'
cifar = dict(type='CIFAR10', data_root='data/cifar10/')
model = dict(head=dict(num_classes=10))
train_dataloader = dict(dataset=cifar)
val_dataloader = dict(dataset=cifar)
test_dataloader = val_dataloader
