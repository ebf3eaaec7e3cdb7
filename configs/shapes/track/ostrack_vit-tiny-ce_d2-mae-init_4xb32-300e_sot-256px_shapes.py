"""The small tracker from the small D2-MAE's weights."""

_base_ = './ostrack_vit-tiny-ce_4xb32-300e_sot-256px_shapes.py'
checkpoint = 'work_dirs/d2-mae_vit-tiny_8xb512-amp-coslr-400e_in1k_shapes/epoch_20.pth'
model = dict(backbone=dict(init_cfg=dict(type='Pretrained', checkpoint=checkpoint)))
