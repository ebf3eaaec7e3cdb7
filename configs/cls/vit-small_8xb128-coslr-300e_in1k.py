"""ViT-Small, 300 epochs from random weights (paper: 80.2)."""

_base_ = './vit-tiny_8xb128-coslr-300e_in1k.py'
model = dict(backbone=dict(arch='small'), head=dict(in_channels=384))
