"""Attention logits of blocks 3, 6, 9 and 12 (counted from 1) distilled together (Fig. 9)."""

_base_ = './d-mae_vit-tiny_8xb512-amp-coslr-400e_in1k.py'
model = dict(
    distill=dict(
        pairs=[
            dict(
                student=f'blocks.{block}.attn_logits',
                teacher=f'blocks.{block}.attn_logits',
                adapter=dict(type='mmlite.HeadMixing'),
                name=f'attn{block + 1}',
            )
            for block in (2, 5, 8, 11)
        ],
    )
)
