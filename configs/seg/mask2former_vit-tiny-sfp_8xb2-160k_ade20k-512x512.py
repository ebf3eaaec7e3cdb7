"""Mask2Former of mmseg on ViT-Tiny."""

_base_ = 'mmseg::mask2former/mask2former_r50_8xb2-160k_ade20k-512x512.py'
from mmlite import swap_backbone

model, optim_wrapper, param_scheduler = swap_backbone(_base_, 'vit-tiny')
