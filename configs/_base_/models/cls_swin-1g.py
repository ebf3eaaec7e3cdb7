"""Swin-1G, to take the place of ViT-Tiny in a classifier (7,299,634 parameters)."""

swin_1g = dict(
    backbone=dict(type='mmlite.Swin', arch='1g', img_size=224, out_type='avg_featmap'),
    head=dict(in_channels=384),
)
