"""Distillation of Hiera-Tiny as released: its last block learns from Hiera-Base's, not decoupled.

The paper's tables list it as D2-MAE (78.9 top-1 after fine-tuning). The teacher is the official
mae_hiera_base_224 (CC-BY-NC 4.0), converted with --source hiera, or one of ours.
"""

_base_ = '../mae/mae_hiera-tiny_8xb512-amp-coslr-400e_in1k.py'
teacher = 'checkpoints/mae_hiera-base_1600e_in1k.pth'
model = dict(
    distill=dict(
        type='mmlite.Distillation',
        teacher=dict(
            type='mmlite.Hiera',
            arch='base',
            img_size=224,
            q_pool=2,
            out_type='raw',
            final_norm=False,
            init_cfg=dict(type='Pretrained', checkpoint=teacher),
        ),
        pairs=[
            dict(
                student='blocks.11.attn_logits',
                teacher='blocks.23.attn_logits',
                adapter=dict(type='mmlite.HeadMixing'),
            )
        ],
    )
)
