"""SegFormer's head on ViT-Tiny, small, trained like Semantic-FPN on generated data."""

_base_ = './semfpn_vit-tiny_8xb2-amp-160k_ade20k-512x512_shapes.py'
from mmlite.engine.swap import shrink_model

sizes = [(150, 8), (256, 64)]
model = shrink_model(
    'mmlite::seg/segformer_vit-tiny-sfp_8xb2-160k_ade20k-512x512.py', _base_, sizes
)
