"""UperNet, Swin-1G: its four stages go straight into the decoder; the paper has no such model."""

_base_ = [
    './semfpn_vit-tiny_8xb2-amp-160k_ade20k-512x512.py',
    '../_base_/models/swin-1g-fpn.py',
    '../_base_/models/upernet_decoder.py',
]
stages = _base_.swin_1g_fpn.neck.in_channels
model = dict(
    backbone=dict(_base_.swin_1g_fpn.backbone, _delete_=True, drop_path_rate=0.1),
    neck=None,
    decode_head=dict(_base_.upernet.decode_head, _delete_=True, in_channels=stages),
    auxiliary_head=dict(_base_.upernet.auxiliary_head, in_channels=192),
)
