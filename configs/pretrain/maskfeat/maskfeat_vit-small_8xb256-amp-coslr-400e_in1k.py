"""MaskFeat, ViT-Small; the paper has ViT-Tiny only."""

_base_ = './maskfeat_vit-tiny_8xb256-amp-coslr-400e_in1k.py'
model = dict(backbone=dict(arch='small'))
