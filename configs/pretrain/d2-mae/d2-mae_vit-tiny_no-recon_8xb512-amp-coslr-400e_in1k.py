"""Distillation alone, without a decoder (Table 5, first column)."""

_base_ = './d2-mae_vit-tiny_8xb512-amp-coslr-400e_in1k.py'
model = dict(backbone=dict(final_norm=False), neck=None, head=None, decode_from=None)
