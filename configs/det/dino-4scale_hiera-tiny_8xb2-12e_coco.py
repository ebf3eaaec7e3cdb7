"""DINO of mmdet on Hiera-Tiny."""

_base_ = 'mmdet::dino/dino-4scale_r50_8xb2-12e_coco.py'
from mmlite import swap_backbone

model, optim_wrapper, param_scheduler = swap_backbone(_base_, 'hiera-tiny')
