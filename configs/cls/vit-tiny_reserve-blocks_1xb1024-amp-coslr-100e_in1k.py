"""How many leading blocks of a checkpoint matter (MAE-Lite, Fig. 4): of MAE's, 0 to 12 are loaded,
the others have random weights. ``tools/sweep.py`` takes the grid from here."""

_base_ = './vit-tiny_mae-init_8xb128-coslr-300e_in1k.py'
model = dict(backbone=dict(init_cfg=dict(reserve_blocks=12)))
train_dataloader = dict(batch_size=1024)
max_epochs = 100
train_cfg = dict(max_epochs=max_epochs)
optim_wrapper = dict(type='AmpOptimWrapper')
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(end=max_epochs)
sweep_grid = {'model.backbone.init_cfg.reserve_blocks': list(range(13))}
