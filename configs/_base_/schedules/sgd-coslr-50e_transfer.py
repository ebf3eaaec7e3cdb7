"""MAE-Lite's transfer to small data sets (Table S2): SGD without weight decay, 512 images.

The learning rates of its grid are not scaled.
"""

max_epochs = 50
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=10)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='AmpOptimWrapper',
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.0),
    clip_grad=dict(max_norm=1.0),
    constructor='mmlite.LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(layer_decay_rate=0.75),
)
param_scheduler = [
    dict(
        type='LinearLR', start_factor=1e-6, by_epoch=True, begin=0, end=10,
        convert_to_iter_based=True,
    ),
    dict(
        type='mmlite.CosineToRateLR', eta_min=1e-6, by_epoch=True, begin=10, end=max_epochs,
        convert_to_iter_based=True,
    ),
]  # fmt: skip
# `--auto-scale-lr` scales the learning rate from 512 images to the actual batch
auto_scale_lr = dict(enable=False, base_batch_size=512)

transfer_decays = {'optim_wrapper.paramwise_cfg.layer_decay_rate': [1.0, 0.75]}
