"""Hiera-Tiny with the features of DINOv2's ViT-Small: its last map, of stride 32 as in all tasks,
is resized to the teacher's, and the mean of its tokens learns the class token."""

_base_ = './distill_vit-tiny_dinov2-small_8xb128-amp-coslr-100e_in1k.py'
model = dict(
    backbone=dict(_delete_=True, type='mmlite.Hiera', arch='tiny', img_size=224, out_type='raw')
)
