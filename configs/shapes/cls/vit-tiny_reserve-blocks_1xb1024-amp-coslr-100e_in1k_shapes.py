"""Reserved leading blocks of the small MAE, every third number of them."""

_base_ = './vit-tiny_mae-init_8xb128-coslr-300e_in1k_shapes.py'
model = dict(backbone=dict(init_cfg=dict(reserve_blocks=12)))
sweep_grid = {'model.backbone.init_cfg.reserve_blocks': [0, 3, 6, 9, 12]}
