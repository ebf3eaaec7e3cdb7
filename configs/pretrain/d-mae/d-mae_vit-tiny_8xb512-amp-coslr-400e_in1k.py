"""D-MAE, ViT-Tiny taught by MAE's ViT-Base: attention logits of the last block (MAE-Lite, eq. 5).

The teacher is MAE's public pre-training checkpoint of 1600 epochs (CC-BY-NC 4.0), converted by
tools/model_converters/convert.py with --source mae, or one of ours.
"""

_base_ = '../mae/mae_vit-tiny_8xb512-amp-coslr-400e_in1k.py'
teacher = 'checkpoints/mae_vit-base_1600e_in1k.pth'
model = dict(
    distill=dict(
        type='mmlite.Distillation',
        teacher=dict(
            type='mmlite.ViT',
            arch='base',
            img_size=224,
            out_type='raw',
            init_cfg=dict(type='Pretrained', checkpoint=teacher),
        ),
        pairs=[
            dict(
                student='blocks.11.attn_logits',
                teacher='blocks.11.attn_logits',
                adapter=dict(type='mmlite.HeadMixing'),
            )
        ],
    )
)
