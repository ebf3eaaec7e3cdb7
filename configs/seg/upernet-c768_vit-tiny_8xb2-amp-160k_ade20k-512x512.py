"""UperNet, ViT-Tiny, the decoder as wide as MAE's for ViT-Base: 67.6M parameters, 484G."""

_base_ = './upernet_vit-tiny_8xb2-amp-160k_ade20k-512x512.py'
model = dict(decode_head=dict(channels=768))
