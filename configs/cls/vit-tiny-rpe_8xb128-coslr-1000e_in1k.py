"""ViT-Tiny with relative position tables, 1000 epochs from random weights: the "supervised"
initialization of Semantic-FPN in the paper's Table 9 (41.5 mIoU)."""

_base_ = './vit-tiny-rpe_8xb128-coslr-300e_in1k.py'
max_epochs = 1000
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(end=max_epochs)
