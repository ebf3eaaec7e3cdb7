"""RTMDet-Ins (small) on ViT-Tiny, small, trained like Mask R-CNN on generated data."""

_base_ = './mask-rcnn_vit-tiny-sfp_8xb8-amp-lsj-100e_coco-640px_shapes.py'
from mmlite.engine.swap import shrink_model

sizes = [(80, 4), (128, 64)]
model = shrink_model('mmlite::det/rtmdet-ins_vit-tiny-sfp_8xb32-300e_coco.py', _base_, sizes)
