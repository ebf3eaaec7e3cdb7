"""The Hiera-Tiny recipe, shrunk as ViT-Tiny's is."""

_base_ = [
    './semfpn_vit-tiny_8xb2-amp-160k_ade20k-512x512_shapes.py',
    '../../_base_/models/semfpn_hiera-tiny.py',
]
model = dict(
    _base_.hiera_tiny,
    backbone=dict(_base_.hiera_tiny.backbone, _delete_=True),
)
