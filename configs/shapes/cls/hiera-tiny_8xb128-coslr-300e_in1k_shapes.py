"""The Hiera-Tiny recipe, shrunk as ViT-Tiny's is."""

_base_ = [
    './vit-tiny_8xb128-coslr-300e_in1k_shapes.py',
    '../../_base_/models/cls_hiera-tiny.py',
]
model = dict(
    _base_.hiera_tiny,
    backbone=dict(_base_.hiera_tiny.backbone, _delete_=True, img_size=_base_.small_size),
)
