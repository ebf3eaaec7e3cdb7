"""Hiera-Tiny with the features of DINOv3's ViT-Base.

Its weights have the DINOv3 License: commercial use is allowed, and what is derived from them, this
student included, is passed on under the same licence.
"""

_base_ = './distill_hiera-tiny_dinov2-small_8xb128-amp-coslr-100e_in1k.py'
model = dict(distill=dict(teacher=dict(model_name='vit_base_patch16_dinov3.lvd1689m')))
