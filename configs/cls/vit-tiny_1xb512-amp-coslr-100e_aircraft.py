"""ViT-Tiny on FGVC-Aircraft; ``tools/sweep.py`` takes the grid of Table S2 from here."""

_base_ = [
    '../_base_/models/cls_vit-tiny.py',
    '../_base_/datasets/aircraft.py',
    '../_base_/schedules/sgd-coslr-50e_transfer.py',
    '../_base_/cls_runtime.py',
]
model = dict(head=dict(num_classes=100))
max_epochs = 100
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=20)
param_scheduler[1].update(begin=20, end=max_epochs)
sweep_grid = [
    _base_.lr_axis + '0.01,0.03,0.1',
    _base_.epochs_axis + '(50,10),(100,20)',
    _base_.decay_axis,
]
