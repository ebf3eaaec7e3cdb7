"""From random weights with either layer decay that may be behind the paper's 75.8: 1.0, or its
code's default. ``tools/sweep.py`` takes the grid from here."""

_base_ = './vit-tiny_8xb128-coslr-300e_in1k.py'
sweep_grid = {'optim_wrapper.paramwise_cfg.layer_decay_rate': [1.0, 0.85]}
