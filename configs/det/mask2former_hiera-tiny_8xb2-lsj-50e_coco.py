"""Mask2Former of mmdet on Hiera-Tiny."""

_base_ = 'mmdet::mask2former/mask2former_r50_8xb2-lsj-50e_coco.py'
from mmlite import swap_backbone

model, optim_wrapper, param_scheduler = swap_backbone(_base_, 'hiera-tiny')
