"""Mask R-CNN, Swin-1G, FPN; the paper has no such model."""

_base_ = [
    './mask-rcnn_vit-tiny-sfp_8xb8-amp-lsj-100e_coco-640px.py',
    '../_base_/models/swin-1g-fpn.py',
]
model = dict(
    backbone=dict(_base_.swin_1g_fpn.backbone, _delete_=True),
    neck=dict(_base_.swin_1g_fpn.neck, _delete_=True),
)
