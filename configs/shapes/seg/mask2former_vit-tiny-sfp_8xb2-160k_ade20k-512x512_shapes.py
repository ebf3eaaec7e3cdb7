"""Mask2Former on ViT-Tiny, small, trained like Semantic-FPN on generated data."""

_base_ = './semfpn_vit-tiny_8xb2-amp-160k_ade20k-512x512_shapes.py'
from mmlite.engine.swap import shrink_model

sizes = [
    (150, 8), (256, 64), (128, 32), (1024, 128), (2048, 256),
    (6, 2), (9, 3), (100, 30), (12544, 1024),
]  # fmt: skip
model = shrink_model(
    'mmlite::seg/mask2former_vit-tiny-sfp_8xb2-160k_ade20k-512x512.py', _base_, sizes
)
