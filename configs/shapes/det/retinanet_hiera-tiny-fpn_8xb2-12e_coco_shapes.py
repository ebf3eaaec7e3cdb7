"""RetinaNet on Hiera-Tiny, small, trained like Mask R-CNN on generated data."""

_base_ = './retinanet_vit-tiny-sfp_8xb2-12e_coco_shapes.py'
from mmlite.engine.swap import shrink_model

model = shrink_model('mmlite::det/retinanet_hiera-tiny-fpn_8xb2-12e_coco.py', _base_, _base_.sizes)
