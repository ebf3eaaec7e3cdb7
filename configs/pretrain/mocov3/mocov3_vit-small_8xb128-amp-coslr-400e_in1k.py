"""MoCo v3, ViT-Small, 400 epochs."""

_base_ = './mocov3_vit-tiny_8xb128-amp-coslr-400e_in1k.py'
model = dict(backbone=dict(arch='small'), neck=dict(in_channels=384))
