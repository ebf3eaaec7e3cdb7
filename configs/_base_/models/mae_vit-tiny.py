"""MAE on ViT-Tiny (MAE-Lite, section 3.1): decoder of one block, 96 channels, 3 heads."""

_base_ = './pretrain_vit-tiny.py'
model = dict(
    type='mmlite.MAE',
    backbone=dict(pos_embed='sincos', weight_init='mae'),
    neck=dict(
        type='mmlite.MaskedDecoder', in_channels=192, grid=14, embed_dims=96, depth=1, num_heads=3
    ),
    head=dict(type='mmlite.PixelHead', norm_pix=True),
    mask_ratio=0.75,
)
