"""Semantic-FPN, ViT-Tiny: 7.0M parameters, 13.4G (paper, Table 9: 7.0M, 13.5G)."""

_base_ = [
    '../_base_/models/semfpn_vit-tiny.py',
    '../_base_/datasets/ade20k_512.py',
    '../_base_/schedules/adamw-160k_ade20k.py',
    '../_base_/seg_runtime.py',
]
