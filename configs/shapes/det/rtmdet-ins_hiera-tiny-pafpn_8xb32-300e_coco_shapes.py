"""RTMDet-Ins (small) on Hiera-Tiny, with the generated data and the schedule of Mask R-CNN."""

_base_ = './mask-rcnn_vit-tiny-sfp_8xb8-amp-lsj-100e_coco-640px_shapes.py'
from mmlite.engine.config_file import load_config

model = load_config('mmlite::det/rtmdet-ins_hiera-tiny-pafpn_8xb32-300e_coco.py').model
model['_delete_'] = True
model.data_preprocessor = _base_.model.data_preprocessor
model.bbox_head.num_classes = len(_base_.classes)
