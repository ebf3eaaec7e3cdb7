"""The UperNet recipe, shrunk as Semantic-FPN's is, with a decoder of 64 channels."""

_base_ = [
    './semfpn_vit-tiny_8xb2-amp-160k_ade20k-512x512_shapes.py',
    '../../_base_/models/upernet_decoder.py',
]
small = dict(num_classes=len(_base_.classes), channels=64)
model = dict(
    neck=dict(_base_.upernet.neck, _delete_=True),
    decode_head=dict(_base_.upernet.decode_head, _delete_=True, **small),
    auxiliary_head=dict(_base_.upernet.auxiliary_head, **small),
)
