"""Hiera-Tiny under Semantic-FPN's head, to take the place of ViT-Tiny and its pyramid.

Its stages have the strides of the head, and the head's first convolution of each level
takes any width, so nothing is needed in between.
"""

hiera_tiny = dict(
    backbone=dict(type='mmlite.Hiera', arch='tiny', img_size=224, drop_path_rate=0.1),
    neck=None,
    decode_head=dict(in_channels=[46, 92, 184, 368]),
)
