"""MAE on Hiera-Tiny (MAE-Lite): 40% of the mask units hidden, fusion of three stages."""

_base_ = './pretrain.py'
model = dict(
    type='mmlite.HieraMAE',
    backbone=dict(
        type='mmlite.Hiera',
        arch='tiny',
        img_size=224,
        q_pool=2,  # 3 in every other task: the last stage keeps 14x14 tokens here
        out_type='raw',
        final_norm=False,
        weight_init='mae',
    ),
    fusion=dict(type='mmlite.MultiScaleFusion', stages=(0, 1, 3)),
    neck=dict(
        type='mmlite.MaskedDecoder',
        in_channels=368,
        grid=14,
        embed_dims=96,
        depth=1,
        num_heads=3,
        pos_embed='learned',
        with_cls_token=False,
    ),
    head=dict(type='mmlite.PixelHead', norm_pix=True, channels_last=False),
    mask_ratio=0.4,
)
