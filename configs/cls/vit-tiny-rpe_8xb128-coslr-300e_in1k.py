"""ViT-Tiny with a relative position table in every block, 732 x 12 and zero at first, in
addition to absolute positions; BEiT's initialization: larger weights in lower blocks, small ones in
the head."""

_base_ = './vit-tiny_8xb128-coslr-300e_in1k.py'
model = dict(
    backbone=dict(rel_pos='bias', weight_init='beit'),
    head=dict(init_cfg=dict(std=2e-5)),
)
