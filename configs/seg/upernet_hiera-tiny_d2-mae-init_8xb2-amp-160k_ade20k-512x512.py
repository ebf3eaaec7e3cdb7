"""From a D2-MAE checkpoint."""

_base_ = './upernet_hiera-tiny_8xb2-amp-160k_ade20k-512x512.py'
checkpoint = 'checkpoints/d2-mae_hiera-tiny_400e_in1k.pth'
model = dict(backbone=dict(init_cfg=dict(type='Pretrained', checkpoint=checkpoint)))
