"""Semantic-FPN on ViT-Tiny as MAE-Lite releases it: taps after blocks 4, 6, 8 and 12, relative
position tables and LayerScale in every block, a pyramid of a quarter of the width."""

image_size = 512
norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        # smaller images are padded in testing as in training: the model knows one size only
        size=(image_size, image_size),
        test_cfg=dict(size=(image_size, image_size)),
    ),
    backbone=dict(
        type='mmlite.ViT',
        arch='tiny',
        img_size=image_size,
        rel_pos='bias',
        layer_scale_init_value=1.0,
        drop_path_rate=0.1,
        out_indices=(3, 5, 7, 11),
        final_norm=False,
    ),
    neck=dict(type='mmlite.NarrowFeature2Pyramid', embed_dim=192, out_channels=48),
    decode_head=dict(
        type='FPNHead',
        in_channels=[48, 48, 48, 48],
        in_index=[0, 1, 2, 3],
        feature_strides=[4, 8, 16, 32],
        channels=128,
        dropout_ratio=0.1,
        num_classes=150,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
    ),
    test_cfg=dict(mode='slide', crop_size=(image_size, image_size), stride=(341, 341)),
)
