"""OSTrack on ViT-Tiny, all tokens: 8.0M parameters, 2.86 GMAC a frame."""

channels = 192
model = dict(
    type='mmlite.OSTrack',
    data_preprocessor=dict(
        type='mmlite.TrackDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
    ),
    backbone=dict(
        type='mmlite.ViT',
        arch='tiny',
        img_size=224,
        out_type='raw',
        with_cls_token=False,
        drop_path_rate=0.1,
    ),
    head=dict(type='mmlite.CenterHead', in_channels=channels, channels=256),
    template_size=128,
    search_size=256,
    template_factor=2.0,
    search_factor=4.0,
)
