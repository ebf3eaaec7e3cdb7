"""Hiera-Tiny with the features of the ViT-Tiny of generated images."""

_base_ = './distill_vit-tiny_dinov2-small_8xb128-amp-coslr-100e_in1k_shapes.py'
model = dict(
    backbone=dict(
        _delete_=True, type='mmlite.Hiera', arch='tiny', img_size=_base_.small_size, out_type='raw'
    )
)
