"""D2-MAE, ViT-Small; the paper has D-MAE only for this size."""

_base_ = './d2-mae_vit-tiny_8xb512-amp-coslr-400e_in1k.py'
model = dict(backbone=dict(arch='small'), neck=dict(in_channels=384, embed_dims=192, num_heads=6))
