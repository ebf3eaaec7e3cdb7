"""Mask R-CNN, Hiera-Tiny, FPN: 28M parameters, 205G (paper, Table 8)."""

_base_ = [
    './mask-rcnn_vit-tiny-sfp_8xb8-amp-lsj-100e_coco-640px.py',
    '../_base_/models/hiera-tiny-fpn.py',
]
model = dict(
    backbone=dict(_base_.hiera_tiny_fpn.backbone, _delete_=True),
    neck=dict(_base_.hiera_tiny_fpn.neck, _delete_=True),
)
