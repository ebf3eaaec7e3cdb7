"""MAE, ViT-Small, on generated images."""

_base_ = './mae_vit-tiny_8xb512-amp-coslr-400e_in1k_shapes.py'
model = dict(backbone=dict(arch='small'), neck=dict(in_channels=384, embed_dims=192, num_heads=6))
