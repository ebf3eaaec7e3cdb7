"""Cascade Mask R-CNN on Hiera-Tiny, with the generated data and the schedule of Mask R-CNN."""

_base_ = './mask-rcnn_vit-tiny-sfp_8xb8-amp-lsj-100e_coco-640px_shapes.py'
from mmlite.engine.config_file import load_config

model = load_config('mmlite::det/cascade-mask-rcnn_hiera-tiny-fpn_8xb2-12e_coco.py').model
model['_delete_'] = True
model.data_preprocessor = _base_.model.data_preprocessor
model.update(test_cfg=_base_.model.test_cfg)
model.train_cfg.update(rpn_proposal=_base_.model.train_cfg.rpn_proposal)
for stage in model.train_cfg.rcnn:
    stage.sampler.num = 48
for head in (*model.roi_head.bbox_head, model.roi_head.mask_head):
    head.num_classes = len(_base_.classes)
