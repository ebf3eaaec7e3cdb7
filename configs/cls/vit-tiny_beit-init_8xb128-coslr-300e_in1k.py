"""From BEiT, whose blocks have LayerScale (paper: 77.7); the layer decay is ours."""

_base_ = './vit-tiny_8xb128-coslr-300e_in1k.py'
checkpoint = 'checkpoints/beit_vit-tiny_400e_in1k.pth'
model = dict(
    backbone=dict(
        layer_scale_init_value=0.1,
        init_cfg=dict(type='Pretrained', checkpoint=checkpoint),
    ),
)
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.85))
