"""ViT-Tiny for pre-training, 224 pixels, all tokens."""

_base_ = './pretrain.py'
model = dict(backbone=dict(type='mmlite.ViT', arch='tiny', img_size=224, out_type='raw'))
