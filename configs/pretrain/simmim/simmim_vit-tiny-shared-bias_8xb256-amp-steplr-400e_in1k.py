"""The official form of SimMIM's ViT: one relative position bias for all blocks instead of absolute
positions, LayerScale, stochastic depth."""

_base_ = './simmim_vit-tiny_8xb256-amp-steplr-400e_in1k.py'
model = dict(
    backbone=dict(
        pos_embed='none', rel_pos='shared_bias', layer_scale_init_value=0.1, drop_path_rate=0.1
    )
)
