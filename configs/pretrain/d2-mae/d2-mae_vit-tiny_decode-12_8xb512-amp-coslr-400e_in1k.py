"""The decoder is fed after block 12 instead of block 8 (Table 5)."""

_base_ = './d2-mae_vit-tiny_8xb512-amp-coslr-400e_in1k.py'
model = dict(decode_from='blocks.11')
