"""From D2-MAE, fine-tuned on ImageNet-1K for 1000 epochs with relative position tables
of 27 x 27 + 3 rows, which are resampled to 63 x 63 + 3 (paper: 42.8 mIoU)."""

_base_ = './semfpn_vit-tiny_8xb2-amp-160k_ade20k-512x512.py'
checkpoint = 'checkpoints/d2-mae_vit-tiny-rpe_1000e_in1k.pth'
model = dict(backbone=dict(init_cfg=dict(type='Pretrained', checkpoint=checkpoint)))
