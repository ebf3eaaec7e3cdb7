"""The UperNet recipe with Swin-1G, shrunk as ViT-Tiny's is; windows of 4 tokens divide its maps."""

_base_ = [
    './semfpn_vit-tiny_8xb2-amp-160k_ade20k-512x512_shapes.py',
    '../../_base_/models/swin-1g-fpn.py',
    '../../_base_/models/upernet_decoder.py',
]
small = dict(num_classes=len(_base_.classes), channels=64)
wide = dict(small, in_channels=_base_.swin_1g_fpn.neck.in_channels)
model = dict(
    backbone=dict(_base_.swin_1g_fpn.backbone, _delete_=True, window_size=4, drop_path_rate=0.1),
    neck=None,
    decode_head=dict(_base_.upernet.decode_head, _delete_=True, **wide),
    auxiliary_head=dict(_base_.upernet.auxiliary_head, in_channels=192, **small),
)
