"""ViTDet's schedule with MAE-Lite's changes: weight decay 0.05, no layer-wise decay, batch 64."""

max_iters = 184375  # int(100 epochs * 118,000 images / 64)
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=5000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='AmpOptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05),
    constructor='mmlite.LayerDecayOptimWrapperConstructor',
    # biases, relative positions and the LN2d of pyramid and heads are decayed, as in ViTDet
    paramwise_cfg=dict(norm_decay_mult=0.0, custom_keys=dict(pos_embed=dict(decay_mult=0.0))),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=250),
    dict(
        type='MultiStepLR',
        by_epoch=False,
        begin=0,
        end=max_iters,
        milestones=[163888, 177546],  # 24/27 and 26/27 of the schedule
        gamma=0.1,
    ),
]
# `--auto-scale-lr` scales the learning rate from 8 GPUs x 8 images to the actual batch
auto_scale_lr = dict(enable=False, base_batch_size=64)
