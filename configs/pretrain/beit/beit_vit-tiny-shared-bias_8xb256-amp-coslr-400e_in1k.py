"""The official form of BEiT's ViT: one relative position bias for all blocks instead of absolute
positions."""

_base_ = './beit_vit-tiny_8xb256-amp-coslr-400e_in1k.py'
model = dict(backbone=dict(pos_embed='none', rel_pos='shared_bias'))
