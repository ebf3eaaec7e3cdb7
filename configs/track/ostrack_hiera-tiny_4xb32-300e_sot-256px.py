"""The one-stream tracker on Hiera-Tiny, an extension: the paper tracks with ViT-Tiny only."""

_base_ = './ostrack_vit-tiny_4xb32-300e_sot-256px.py'
model = dict(
    type='mmlite.HieraOSTrack',
    backbone=dict(
        _delete_=True,
        type='mmlite.Hiera',
        arch='tiny',
        img_size=224,
        q_pool=2,
        out_type='raw',
        drop_path_rate=0.1,
    ),
    head=dict(in_channels=368),
)
