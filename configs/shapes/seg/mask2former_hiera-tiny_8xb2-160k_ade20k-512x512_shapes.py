"""Mask2Former on Hiera-Tiny, small, trained like Semantic-FPN on generated data."""

_base_ = './mask2former_vit-tiny-sfp_8xb2-160k_ade20k-512x512_shapes.py'
from mmlite.engine.swap import shrink_model

model = shrink_model(
    'mmlite::seg/mask2former_hiera-tiny_8xb2-160k_ade20k-512x512.py', _base_, _base_.sizes
)
