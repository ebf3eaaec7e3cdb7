"""RetinaNet on ViT-Tiny, small, trained like Mask R-CNN on generated data."""

_base_ = './mask-rcnn_vit-tiny-sfp_8xb8-amp-lsj-100e_coco-640px_shapes.py'
from mmlite.engine.swap import shrink_model

sizes = [(80, 4)]
model = shrink_model('mmlite::det/retinanet_vit-tiny-sfp_8xb2-12e_coco.py', _base_, sizes)
val_evaluator = dict(metric='bbox')
test_evaluator = val_evaluator
