"""Cascade Mask R-CNN of mmdet on ViT-Tiny."""

_base_ = 'mmdet::cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py'
from mmlite import swap_backbone

model, optim_wrapper, param_scheduler = swap_backbone(_base_, 'vit-tiny')
