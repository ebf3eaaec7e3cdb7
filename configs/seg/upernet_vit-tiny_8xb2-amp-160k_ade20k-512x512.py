"""UperNet, ViT-Tiny, MAE's decoder for ViT-Base "kept intact" (MAE-Lite, section 3.3): 768
channels, 67.6M parameters, 484G."""

_base_ = [
    './semfpn_vit-tiny_8xb2-amp-160k_ade20k-512x512.py',
    '../_base_/models/upernet_decoder.py',
]
model = dict(
    neck=dict(_base_.upernet.neck, _delete_=True),
    decode_head=dict(_base_.upernet.decode_head, _delete_=True),
    auxiliary_head=_base_.upernet.auxiliary_head,
)
