"""D2-MAE, ViT-Tiny: distillation decoupled from reconstruction (MAE-Lite, section 5.2).

The decoder is fed after block 8. What is distilled are the attention logits of a thirteenth block
that has nothing else, so that all of blocks 9 to 12 learn from the teacher alone (paper: 78.7
top-1, 79.4 after 1000 epochs with relative positions).
"""

_base_ = '../d-mae/d-mae_vit-tiny_8xb512-amp-coslr-400e_in1k.py'
model = dict(
    decode_from='blocks.7',
    distill=dict(
        pairs=[
            dict(
                student='blocks.11',
                teacher='blocks.11.attn_logits',
                adapter=[
                    dict(type='mmlite.AttentionLogits', out_channels=12),
                    dict(type='mmlite.HeadMixing'),
                ],
            )
        ]
    ),
)
