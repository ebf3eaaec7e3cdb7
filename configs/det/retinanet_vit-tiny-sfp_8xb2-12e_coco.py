"""RetinaNet of mmdet on ViT-Tiny."""

_base_ = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'
from mmlite import swap_backbone

model, optim_wrapper, param_scheduler = swap_backbone(_base_, 'vit-tiny')
