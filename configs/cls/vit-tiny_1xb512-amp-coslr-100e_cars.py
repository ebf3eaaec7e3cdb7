"""ViT-Tiny on Stanford Cars; ``tools/sweep.py`` takes the grid of Table S2 from here."""

_base_ = [
    '../_base_/models/cls_vit-tiny.py',
    '../_base_/datasets/cars.py',
    '../_base_/schedules/sgd-coslr-50e_transfer.py',
    '../_base_/cls_runtime.py',
]
model = dict(head=dict(num_classes=196))
max_epochs = 100
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=20)
param_scheduler[1].update(begin=20, end=max_epochs)
sweep_grid = {
    'optim_wrapper.optimizer.lr': [0.01, 0.03, 0.1],
    '--epochs': [50, 100],
    **_base_.transfer_decays,
}
