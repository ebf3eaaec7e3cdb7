"""Semantic-FPN with what mmsegmentation's ViT has: no relative positions, no LayerScale."""

_base_ = '../configs/seg/semfpn_vit-tiny_8xb2-amp-160k_ade20k-512x512.py'
model = dict(backbone=dict(rel_pos=None, layer_scale_init_value=None))
