"""The UperNet recipe with Hiera-Tiny, shrunk as ViT-Tiny's is."""

_base_ = [
    './semfpn_hiera-tiny_8xb2-amp-160k_ade20k-512x512_shapes.py',
    '../../_base_/models/upernet_decoder.py',
]
small = dict(num_classes=len(_base_.classes), channels=64)
wide = dict(small, in_channels=_base_.hiera_tiny.decode_head.in_channels)
model = dict(
    decode_head=dict(_base_.upernet.decode_head, _delete_=True, **wide),
    auxiliary_head=dict(_base_.upernet.auxiliary_head, in_channels=184, **small),
)
