"""SegFormer's head on Hiera-Tiny, small, trained like Semantic-FPN on generated data."""

_base_ = './segformer_vit-tiny-sfp_8xb2-160k_ade20k-512x512_shapes.py'
from mmlite.engine.swap import shrink_model

model = shrink_model(
    'mmlite::seg/segformer_hiera-tiny_8xb2-160k_ade20k-512x512.py', _base_, _base_.sizes
)
