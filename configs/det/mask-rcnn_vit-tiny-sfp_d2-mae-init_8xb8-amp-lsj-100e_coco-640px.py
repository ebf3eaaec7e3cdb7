"""From a D2-MAE checkpoint (paper: 42.5 box AP, 37.5 mask AP). Any other checkpoint of the suite
or one made by tools/model_converters/convert.py goes into the same line."""

_base_ = './mask-rcnn_vit-tiny-sfp_8xb8-amp-lsj-100e_coco-640px.py'
checkpoint = 'checkpoints/d2-mae_vit-tiny_400e_in1k.pth'
model = dict(backbone=dict(init_cfg=dict(type='Pretrained', checkpoint=checkpoint)))
