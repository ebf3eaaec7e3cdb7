"""UperNet, ViT-Tiny, a decoder as wide as the encoder: 11.0M parameters, 41.9G."""

_base_ = './upernet_vit-tiny_8xb2-amp-160k_ade20k-512x512.py'
model = dict(decode_head=dict(channels=192))
