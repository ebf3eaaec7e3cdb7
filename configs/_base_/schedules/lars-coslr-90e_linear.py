"""MAE's linear probing on ImageNet (appendix A.1): LARS, 0.1 per 256 images, no weight decay."""

max_epochs = 90
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=10)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='AmpOptimWrapper',
    optimizer=dict(type='LARS', lr=6.4, momentum=0.9, weight_decay=0.0),
    constructor='mmlite.LayerDecayOptimWrapperConstructor',
)
param_scheduler = [
    dict(
        type='LinearLR', start_factor=1e-6, by_epoch=True, begin=0, end=10,
        convert_to_iter_based=True,
    ),
    dict(
        type='CosineAnnealingLR', eta_min=0.0, by_epoch=True, begin=10, end=max_epochs,
        convert_to_iter_based=True,
    ),
]  # fmt: skip
# `--auto-scale-lr` scales the learning rate from 8 GPUs x 2048 images to the actual batch
auto_scale_lr = dict(enable=False, base_batch_size=16384)
