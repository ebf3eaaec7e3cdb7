"""Linear probing on Flowers-102; ``tools/sweep.py`` takes the grid from here."""

_base_ = [
    './vit-tiny_1xb512-amp-coslr-250e_flowers102.py',
    '../_base_/models/cls_linear.py',
    '../_base_/schedules/sgd-coslr-100e_linear.py',
]
model = _base_.linear
train_cfg = _base_.linear_train_cfg
optim_wrapper = _base_.linear_wrapper
param_scheduler = _base_.linear_schedule
sweep_grid = dict(_base_.linear_grid, _delete_=True)
