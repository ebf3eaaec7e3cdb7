"""The small tracker without candidate elimination."""

_base_ = './ostrack_vit-tiny-ce_4xb32-300e_sot-256px_shapes.py'
model = dict(elimination=None)
custom_hooks = _base_.custom_hooks[:-1]
