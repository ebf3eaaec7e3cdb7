"""Mask2Former on Hiera-Tiny, with the generated data and the schedule of Mask R-CNN."""

_base_ = './mask-rcnn_vit-tiny-sfp_8xb8-amp-lsj-100e_coco-640px_shapes.py'
from mmlite.engine.config_file import load_config

model = load_config('mmlite::det/mask2former_hiera-tiny_8xb2-lsj-50e_coco.py').model
model['_delete_'] = True
model.data_preprocessor = _base_.model.data_preprocessor
model.panoptic_head.update(num_things_classes=len(_base_.classes))
model.panoptic_head.loss_cls.update(class_weight=[1.0] * len(_base_.classes) + [0.1])
model.panoptic_fusion_head.update(num_things_classes=len(_base_.classes))
