"""Mask2Former on ViT-Tiny, with the generated data and the schedule of Semantic-FPN."""

_base_ = './semfpn_vit-tiny_8xb2-amp-160k_ade20k-512x512_shapes.py'
from mmlite.engine.config_file import load_config

model = load_config('mmlite::seg/mask2former_vit-tiny-sfp_8xb2-160k_ade20k-512x512.py').model
model['_delete_'] = True
model.data_preprocessor = _base_.model.data_preprocessor
model.decode_head.update(num_classes=len(_base_.classes))
model.decode_head.loss_cls.update(class_weight=[1.0] * len(_base_.classes) + [0.1])
