"""ViT-Tiny on CIFAR-100; ``tools/sweep.py`` takes the grid of Table S2 from here."""

_base_ = [
    '../_base_/models/cls_vit-tiny.py',
    '../_base_/datasets/cifar100.py',
    '../_base_/schedules/sgd-coslr-50e_transfer.py',
    '../_base_/cls_runtime.py',
]
model = dict(data_preprocessor=dict(to_rgb=False), head=dict(num_classes=100))
sweep_grid = {
    'optim_wrapper.optimizer.lr': [0.03, 0.1, 0.3],
    '--epochs': [25, 50],
    **_base_.transfer_decays,
}
