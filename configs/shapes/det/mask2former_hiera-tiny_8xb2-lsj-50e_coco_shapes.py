"""Mask2Former on Hiera-Tiny, small, trained like Mask R-CNN on generated data."""

_base_ = './mask2former_vit-tiny-sfp_8xb2-lsj-50e_coco_shapes.py'
from mmlite.engine.swap import shrink_model

model = shrink_model(
    'mmlite::det/mask2former_hiera-tiny_8xb2-lsj-50e_coco.py', _base_, _base_.sizes
)
