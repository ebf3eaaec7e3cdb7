"""Mask2Former on ViT-Tiny, small, trained like Mask R-CNN on generated data."""

_base_ = './mask-rcnn_vit-tiny-sfp_8xb8-amp-lsj-100e_coco-640px_shapes.py'
from mmlite.engine.swap import shrink_model

sizes = [
    (80, 4), (256, 64), (128, 32), (1024, 128), (2048, 256),
    (6, 2), (9, 3), (100, 30), (12544, 1024),
]  # fmt: skip
model = shrink_model('mmlite::det/mask2former_vit-tiny-sfp_8xb2-lsj-50e_coco.py', _base_, sizes)
