"""SimMIM, ViT-Small; the paper has ViT-Tiny only."""

_base_ = './simmim_vit-tiny_8xb256-amp-steplr-400e_in1k.py'
model = dict(backbone=dict(arch='small'))
