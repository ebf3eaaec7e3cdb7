"""MAE on ViT-Tiny (MAE-Lite, section 3.1): decoder of one block, 96 channels, 3 heads."""

model = dict(
    type='mmlite.MAE',
    data_preprocessor=dict(
        type='SelfSupDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True,
        non_blocking=True,
    ),
    backbone=dict(
        type='mmlite.ViT',
        arch='tiny',
        img_size=224,
        out_type='raw',
        pos_embed='sincos',
        weight_init='mae',
    ),
    neck=dict(
        type='mmlite.MaskedDecoder', in_channels=192, grid=14, embed_dims=96, depth=1, num_heads=3
    ),
    head=dict(type='mmlite.PixelHead', norm_pix=True),
    mask_ratio=0.75,
)
