"""From D-MAE, which is what the paper calls D2-MAE on Hiera (paper: 43.2 box AP, 38.7 mask AP)."""

_base_ = './mask-rcnn_hiera-tiny-fpn_8xb8-amp-lsj-100e_coco-640px.py'
checkpoint = 'checkpoints/d-mae_hiera-tiny_400e_in1k.pth'
model = dict(backbone=dict(init_cfg=dict(type='Pretrained', checkpoint=checkpoint)))
