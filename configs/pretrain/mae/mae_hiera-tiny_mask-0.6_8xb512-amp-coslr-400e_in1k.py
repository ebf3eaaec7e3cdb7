"""The mask ratio of the original Hiera; MAE-Lite's released recipe hides 0.4."""

_base_ = './mae_hiera-tiny_8xb512-amp-coslr-400e_in1k.py'
model = dict(mask_ratio=0.6)
