"""With relative position tables, from the small D2-MAE's weights; as many iterations as without."""

_base_ = './vit-tiny_d2-mae-init_8xb128-coslr-300e_in1k_shapes.py'
model = dict(
    backbone=dict(rel_pos='bias', weight_init='beit'),
    head=dict(init_cfg=dict(std=2e-5)),
)
