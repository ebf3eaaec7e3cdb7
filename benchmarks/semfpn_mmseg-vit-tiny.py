"""Semantic-FPN with mmsegmentation's own ViT of the same size: as many parameters as
semfpn_vit-tiny-plain.py, and the same outputs for the same weights."""

_base_ = '../configs/seg/semfpn_vit-tiny_8xb2-amp-160k_ade20k-512x512.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='VisionTransformer',
        img_size=512,
        patch_size=16,
        patch_bias=True,
        embed_dims=192,
        num_layers=12,
        num_heads=12,
        drop_path_rate=0.1,
        out_indices=(3, 5, 7, 11),
        norm_cfg=dict(type='LN', eps=1e-6),
    )
)
# layer-wise decay needs a backbone that knows the depth of its parameters; it costs no time
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=1.0))
