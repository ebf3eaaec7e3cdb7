"""D-MAE, ViT-Small (paper: 82.5 top-1 after fine-tuning, 0.4 above MAE)."""

_base_ = './d-mae_vit-tiny_8xb512-amp-coslr-400e_in1k.py'
model = dict(backbone=dict(arch='small'), neck=dict(in_channels=384, embed_dims=192, num_heads=6))
