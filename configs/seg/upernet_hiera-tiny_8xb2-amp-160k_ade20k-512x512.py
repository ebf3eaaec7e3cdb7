"""UperNet, Hiera-Tiny: its four stages go straight into the decoder."""

_base_ = [
    './semfpn_hiera-tiny_8xb2-amp-160k_ade20k-512x512.py',
    '../_base_/models/upernet_decoder.py',
]
stages = _base_.hiera_tiny.decode_head.in_channels
model = dict(
    decode_head=dict(_base_.upernet.decode_head, _delete_=True, in_channels=stages),
    auxiliary_head=dict(_base_.upernet.auxiliary_head, in_channels=184),
)
