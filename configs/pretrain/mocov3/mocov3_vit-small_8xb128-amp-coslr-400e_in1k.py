"""MoCo v3, ViT-Small with 6 heads as in MoCo v3's code, 400 epochs; the paper has ViT-Tiny only."""

_base_ = './mocov3_vit-tiny_8xb128-amp-coslr-400e_in1k.py'
model = dict(
    backbone=dict(arch=dict(_delete_=True, embed_dims=384, num_layers=12, num_heads=6)),
    neck=dict(in_channels=384),
)
