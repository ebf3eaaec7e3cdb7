"""Hiera-Tiny, 300 epochs from random weights (paper: 75.8)."""

_base_ = ['./vit-tiny_8xb128-coslr-300e_in1k.py', '../_base_/models/cls_hiera-tiny.py']
model = dict(
    _base_.hiera_tiny,
    backbone=dict(_base_.hiera_tiny.backbone, _delete_=True),
)
