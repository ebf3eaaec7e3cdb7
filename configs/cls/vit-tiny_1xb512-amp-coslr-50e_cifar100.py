"""ViT-Tiny on CIFAR-100; ``tools/sweep.py`` takes the grid of Table S2 from here."""

_base_ = [
    '../_base_/models/cls_vit-tiny.py',
    '../_base_/datasets/cifar100.py',
    '../_base_/schedules/sgd-coslr-50e_transfer.py',
    '../_base_/cls_runtime.py',
]
model = dict(data_preprocessor=dict(to_rgb=False), head=dict(num_classes=100))
sweep_grid = [
    _base_.lr_axis + '0.03,0.1,0.3',
    _base_.epochs_axis + '(25,5),(50,10)',
    _base_.decay_axis,
]
