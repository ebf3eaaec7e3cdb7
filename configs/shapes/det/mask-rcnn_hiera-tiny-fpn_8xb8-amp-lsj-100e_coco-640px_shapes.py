"""The Hiera-Tiny recipe, shrunk as ViT-Tiny's is."""

_base_ = [
    './mask-rcnn_vit-tiny-sfp_8xb8-amp-lsj-100e_coco-640px_shapes.py',
    '../../_base_/models/hiera-tiny-fpn.py',
]
model = dict(
    backbone=dict(_base_.hiera_tiny_fpn.backbone, _delete_=True),
    neck=dict(_base_.hiera_tiny_fpn.neck, _delete_=True, out_channels=_base_.channels),
)
