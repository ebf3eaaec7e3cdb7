"""MAE's and BEiT's schedule on ADE20K with the layer-wise decay of a tiny encoder: 160k iterations
of 16 images."""

max_iters = 160000
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=16000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='AmpOptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05),
    constructor='mmlite.LayerDecayOptimWrapperConstructor',
    # norms, biases and LayerScale are not decayed; absolute positions, class token and position
    # tables are, as in BEiT's and mmseg's training, whose exemption misses them
    paramwise_cfg=dict(layer_decay_rate=0.8, flat_decay_mult=0.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=1500),
    dict(type='PolyLR', power=1.0, eta_min=0.0, by_epoch=False, begin=1500, end=max_iters),
]
# `--auto-scale-lr` scales the learning rate from 8 GPUs x 2 images to the actual batch
auto_scale_lr = dict(enable=False, base_batch_size=16)
