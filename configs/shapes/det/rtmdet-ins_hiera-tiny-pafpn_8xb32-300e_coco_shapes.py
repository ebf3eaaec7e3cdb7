"""RTMDet-Ins (small) on Hiera-Tiny, small, trained like Mask R-CNN on generated data."""

_base_ = './rtmdet-ins_vit-tiny-sfp_8xb32-300e_coco_shapes.py'
from mmlite.engine.swap import shrink_model

model = shrink_model(
    'mmlite::det/rtmdet-ins_hiera-tiny-pafpn_8xb32-300e_coco.py', _base_, _base_.sizes
)
