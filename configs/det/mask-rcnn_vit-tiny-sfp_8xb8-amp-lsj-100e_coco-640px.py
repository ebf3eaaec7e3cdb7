"""Mask R-CNN, ViT-Tiny, simple feature pyramid: 28M parameters, 204G (paper, Table 8)."""

_base_ = [
    '../_base_/models/mask-rcnn_vit-tiny-sfp.py',
    '../_base_/datasets/coco_lsj-640px.py',
    '../_base_/schedules/adamw-100e_coco.py',
    '../_base_/det_runtime.py',
]
# gradients travel between GPUs in half precision, as in ViTDet's training
custom_hooks = [*_base_.custom_hooks, dict(type='mmlite.DDPCommHook')]
