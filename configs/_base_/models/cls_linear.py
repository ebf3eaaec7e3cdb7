"""Changes that turn a classifier into a linear probe (MAE, appendix A.1): the encoder is frozen,
its features are normalized over the batch without an affine part, and the linear layer has a small
initialization."""

linear = dict(
    backbone=dict(frozen_stages=13),  # embedding, 12 blocks and the norm after them
    neck=dict(type='ClsBatchNormNeck', input_features=192),
    head=dict(init_cfg=dict(std=0.01)),
)
