"""Normalized output of block 3 (counted from 1) distilled instead of attention (eq. 6, Fig. 9)."""

_base_ = './d-mae_vit-tiny_8xb512-amp-coslr-400e_in1k.py'
tap = 'blocks.3.norm1'
model = dict(
    distill=dict(
        pairs=[dict(student=tap, teacher=tap, adapter=dict(type='mmlite.TokenProjection'))],
    )
)
