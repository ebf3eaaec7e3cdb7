"""DINO on ViT-Tiny, with the generated data and the schedule of Mask R-CNN."""

_base_ = './mask-rcnn_vit-tiny-sfp_8xb8-amp-lsj-100e_coco-640px_shapes.py'
from mmlite.engine.config_file import load_config

model = load_config('mmlite::det/dino-4scale_vit-tiny-sfp_8xb2-12e_coco.py').model
model['_delete_'] = True
model.data_preprocessor = _base_.model.data_preprocessor
model.update(num_queries=100)  # of 765 positions
model.bbox_head.num_classes = len(_base_.classes)
val_evaluator = dict(metric='bbox')
test_evaluator = val_evaluator
