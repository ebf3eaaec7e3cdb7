"""Linear probing of a frozen Hiera-Tiny on ImageNet-1K, on the mean of its tokens."""

_base_ = [
    './vit-tiny_linear_8xb2048-amp-coslr-90e_in1k.py',
    '../_base_/models/cls_hiera-tiny.py',
]
model = dict(
    backbone=dict(_base_.hiera_tiny.backbone, _delete_=True, frozen_stages=13),
    neck=dict(input_features=368),
    head=dict(in_channels=368),
)
sweep_grid = dict(_delete_=True)
