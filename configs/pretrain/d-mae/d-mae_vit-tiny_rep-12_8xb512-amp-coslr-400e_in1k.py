"""Normalized output of block 12 (counted from 1) distilled instead of attention (eq. 6, Fig. 9)."""

_base_ = './d-mae_vit-tiny_8xb512-amp-coslr-400e_in1k.py'
tap = 'norm'
model = dict(
    distill=dict(
        pairs=[dict(student=tap, teacher=tap, adapter=dict(type='mmlite.TokenProjection'))],
    )
)
