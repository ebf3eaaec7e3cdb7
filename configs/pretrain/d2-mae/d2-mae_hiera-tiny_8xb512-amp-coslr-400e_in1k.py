"""D2-MAE carried over to Hiera-Tiny in full; the released recipe is d-mae_hiera-tiny.

The decoder is fed from the first three stages, and an attention-only block after the last stage
is distilled, so that both blocks of the last stage learn from the teacher alone.
"""

_base_ = '../d-mae/d-mae_hiera-tiny_8xb512-amp-coslr-400e_in1k.py'
model = dict(
    fusion=dict(stages=(0, 1, 2)),
    distill=dict(
        pairs=[
            dict(
                student='blocks.11',
                teacher='blocks.23.attn_logits',
                adapter=[
                    dict(type='mmlite.AttentionLogits', out_channels=8),
                    dict(type='mmlite.HeadMixing'),
                ],
            )
        ]
    ),
)
