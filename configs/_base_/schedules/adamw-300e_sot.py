"""OSTrack's schedule: 300 epochs of 60,000 pairs, 128 pairs a step, one step down at epoch 240."""

max_epochs = 300
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=20)
val_cfg = dict(type='mmlite.SequenceValLoop', batch_size=16)
test_cfg = dict(type='mmlite.SequenceTestLoop', batch_size=16)
optim_wrapper = dict(
    type='OptimWrapper',  # in full precision, as released
    optimizer=dict(type='AdamW', lr=4e-4, weight_decay=1e-4),
    clip_grad=dict(max_norm=0.1, norm_type=2),
    constructor='mmlite.LayerDecayOptimWrapperConstructor',
    # everything is decayed, norms and positions too; the tables of positions count as backbone
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1), pos_embed=dict(lr_mult=0.1))),
)
param_scheduler = [
    dict(type='MultiStepLR', by_epoch=True, milestones=[240], gamma=0.1, end=max_epochs)
]
# `--auto-scale-lr` scales the learning rate from 4 GPUs x 32 pairs to the actual batch
auto_scale_lr = dict(enable=False, base_batch_size=128)
