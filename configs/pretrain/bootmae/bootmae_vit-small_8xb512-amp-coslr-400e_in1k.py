"""BootMAE, ViT-Small, 400 epochs (decoders as MAE-Lite's: one block, 192 channels, 6 heads)."""

_base_ = './bootmae_vit-tiny_8xb512-amp-coslr-400e_in1k.py'
decoder = dict(in_channels=384, embed_dims=192, num_heads=6)
model = dict(
    backbone=dict(arch='small'),
    pixel_decoder=decoder,
    feature_decoder=dict(decoder, out_channels=384),
)
