"""Swin-1G with a norm for each stage, and an FPN, to take the place of ViT-Tiny and its pyramid."""

swin_1g_fpn = dict(
    backbone=dict(type='mmlite.Swin', arch='1g', img_size=224, stage_norm=True),
    neck=dict(
        type='FPN',
        in_channels=[48, 96, 192, 384],
        out_channels=256,
        num_outs=5,
        norm_cfg=dict(type='mmlite.LN2d', eps=1e-6),
    ),
)
