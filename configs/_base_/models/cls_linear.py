"""What turns a classifier into a linear probe (MAE, appendix A.1): nothing of the encoder learns,
its features are normalised over the batch without an affine part, and the linear layer starts
small."""

linear = dict(
    backbone=dict(frozen_stages=13),  # embedding, 12 blocks and the norm behind them
    neck=dict(type='ClsBatchNormNeck', input_features=192),
    head=dict(init_cfg=dict(std=0.01)),
)
