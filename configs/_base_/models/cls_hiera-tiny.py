"""Hiera-Tiny, to take the place of ViT-Tiny in a classifier (6,694,966 parameters).

The initialization of its head is a thousand times smaller, as in the official code.
"""

hiera_tiny = dict(
    backbone=dict(type='mmlite.Hiera', arch='tiny', img_size=224, out_type='avg_featmap'),
    head=dict(in_channels=368, init_cfg=dict(std=2e-5, bias=2e-5)),
)
