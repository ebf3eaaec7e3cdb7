"""MAE's optimizer and schedule for 400 epochs: 1.5e-4 per 256 images, 40 epochs of warm-up."""

max_epochs = 400
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs)
optim_wrapper = dict(
    type='AmpOptimWrapper',
    optimizer=dict(type='AdamW', lr=2.4e-3, betas=(0.9, 0.95), weight_decay=0.05),
    constructor='mmlite.LayerDecayOptimWrapperConstructor',
    # class and mask tokens have three axes and are decayed, as in MAE
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0, flat_decay_mult=0.0),
)
param_scheduler = [
    dict(
        type='LinearLR', start_factor=1e-6, by_epoch=True, begin=0, end=40,
        convert_to_iter_based=True,
    ),
    dict(
        type='CosineAnnealingLR', eta_min=0.0, by_epoch=True, begin=40, end=max_epochs,
        convert_to_iter_based=True,
    ),
]  # fmt: skip
# `--auto-scale-lr` scales the learning rate from 8 GPUs x 512 images to the actual batch
auto_scale_lr = dict(enable=False, base_batch_size=4096)
