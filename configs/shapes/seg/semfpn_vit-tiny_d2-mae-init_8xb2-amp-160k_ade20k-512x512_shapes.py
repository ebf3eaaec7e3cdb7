"""From the small D2-MAE's weights, in the same number of iterations."""

_base_ = './semfpn_vit-tiny_8xb2-amp-160k_ade20k-512x512_shapes.py'
checkpoint = 'work_dirs/d2-mae_vit-tiny_8xb512-amp-coslr-400e_in1k_shapes/epoch_20.pth'
model = dict(backbone=dict(init_cfg=dict(type='Pretrained', checkpoint=checkpoint)))
