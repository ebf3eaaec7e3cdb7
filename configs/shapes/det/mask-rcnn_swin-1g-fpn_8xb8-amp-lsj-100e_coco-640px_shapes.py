"""The Swin-1G recipe, shrunk as ViT-Tiny's is; windows of 3 tokens divide its maps."""

_base_ = [
    './mask-rcnn_vit-tiny-sfp_8xb8-amp-lsj-100e_coco-640px_shapes.py',
    '../../_base_/models/swin-1g-fpn.py',
]
model = dict(
    backbone=dict(_base_.swin_1g_fpn.backbone, _delete_=True, window_size=3),
    neck=dict(_base_.swin_1g_fpn.neck, _delete_=True, out_channels=_base_.channels),
)
