"""Decoupled distillation of SimMIM on Swin-1G (MAE-Lite's code; paper: 77.8 top-1).

The decoder is fed from the second stage, after its merging. What is distilled are the attention
logits of a third block of the last stage that has nothing else. The teacher is a Swin-Tiny that
SimMIM trained for 800 epochs: the official one, converted, or one of ours.
"""

_base_ = '../simmim/simmim_swin-1g_8xb256-amp-steplr-400e_in1k.py'
teacher = 'checkpoints/simmim_swin-tiny_800e_in1k.pth'
model = dict(
    # of 13 blocks, the last of which is left out
    backbone=dict(drop_path_rate=0.1 * 11 / 12),
    decode_from='blocks.3.merged',
    neck=dict(in_channels=192, encoder_stride=16),
    distill=dict(
        type='mmlite.Distillation',
        teacher=dict(
            type='mmlite.Swin',
            arch='tiny',
            img_size=224,
            mask_token=True,
            out_type='raw',
            final_norm=False,
            init_cfg=dict(type='Pretrained', checkpoint=teacher),
        ),
        pairs=[
            dict(
                student='blocks.11',
                teacher='blocks.11.attn_logits',
                adapter=[
                    dict(type='mmlite.AttentionLogits', out_channels=24, grid=(7, 7)),
                    dict(type='mmlite.HeadMixing'),
                ],
            )
        ],
    ),
)
