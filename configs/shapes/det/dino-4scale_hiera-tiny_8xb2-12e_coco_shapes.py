"""DINO on Hiera-Tiny, small, trained like Mask R-CNN on generated data."""

_base_ = './dino-4scale_vit-tiny-sfp_8xb2-12e_coco_shapes.py'
from mmlite.engine.swap import shrink_model

model = shrink_model('mmlite::det/dino-4scale_hiera-tiny_8xb2-12e_coco.py', _base_, _base_.sizes)
