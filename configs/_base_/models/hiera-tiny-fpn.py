"""Hiera-Tiny and an FPN on its four stages, to take the place of ViT-Tiny and its pyramid."""

hiera_tiny_fpn = dict(
    backbone=dict(type='mmlite.Hiera', arch='tiny', img_size=224),
    neck=dict(
        type='FPN',
        in_channels=[46, 92, 184, 368],
        out_channels=256,
        num_outs=5,
        norm_cfg=dict(type='mmlite.LN2d', eps=1e-6),
    ),
)
