"""The small tracker on Hiera-Tiny."""

_base_ = './ostrack_vit-tiny_4xb32-300e_sot-256px_shapes.py'
model = dict(
    _delete_=True,
    type='mmlite.HieraOSTrack',
    data_preprocessor=_base_.model.data_preprocessor,
    backbone=dict(
        type='mmlite.Hiera', arch='tiny', img_size=224, q_pool=2, out_type='raw', drop_path_rate=0.1
    ),
    head=dict(_base_.model.head, in_channels=368),
    template_size=_base_.template_size,
    search_size=_base_.search_size,
    coords=_base_.coords,
)
