"""ViT-Tiny with the features of EUPE's ViT-Base.

Its weights have the FAIR Noncommercial Research License, which covers what is made with them: this
student is for research only.
"""

_base_ = './distill_vit-tiny_dinov2-small_8xb128-amp-coslr-100e_in1k.py'
model = dict(distill=dict(teacher=dict(model_name='vit_base_patch16_dinov3_qkvb.eupe_lvd1689m')))
