"""Swin-1G, 300 epochs from random weights."""

_base_ = ['./vit-tiny_8xb128-coslr-300e_in1k.py', '../_base_/models/cls_swin-1g.py']
model = dict(
    _base_.swin_1g,
    backbone=dict(_base_.swin_1g.backbone, _delete_=True),
)
