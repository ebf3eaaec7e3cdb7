"""RTMDet-Ins (small) of mmdet on ViT-Tiny."""

_base_ = 'mmdet::rtmdet/rtmdet-ins_s_8xb32-300e_coco.py'
from mmlite import swap_backbone

model, optim_wrapper, param_scheduler = swap_backbone(_base_, 'vit-tiny')
# the recipe's 4e-3 is for a convolutional backbone
optim_wrapper['optimizer']['lr'] = 1e-3
param_scheduler[1]['eta_min'] = 5e-5
