"""MAE-Lite's fine-tuning (Table S1): 1e-3 per 256 images, 5 epochs of warm-up, 300 epochs.

From random weights all layers learn at one rate; a recipe that starts from pre-trained weights sets
``layer_decay_rate``, and ``--init NAME`` sets that of the method.
"""

max_epochs = 300
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=10)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=4e-3, betas=(0.9, 0.999), weight_decay=0.05),
    constructor='mmlite.LayerDecayOptimWrapperConstructor',
    # biases, norms, positions and class token are not decayed; relative position tables are
    paramwise_cfg=dict(layer_decay_rate=1.0, flat_decay_mult=0.0, respect_no_weight_decay=True),
)
init_layer_decay = True
param_scheduler = [
    dict(
        type='LinearLR', start_factor=1e-6, by_epoch=True, begin=0, end=5,
        convert_to_iter_based=True,
    ),
    # down to 1e-6, and in lower layers to the same share of their rate
    dict(
        type='CosineAnnealingLR', eta_min_ratio=2.5e-4, by_epoch=True, begin=5, end=max_epochs,
        convert_to_iter_based=True,
    ),
]  # fmt: skip
# `--auto-scale-lr` scales the learning rate from 8 GPUs x 128 images to the actual batch
auto_scale_lr = dict(enable=False, base_batch_size=1024)
