"""EoMT, ViT-Tiny: 31 epochs, learning rate and clipping of the paper's ADE20K runs (arXiv
2503.19108), which have no ViT-Tiny. Ours are one warm-up for all parameters in place of two, and
MAE-Lite's weight decay, which exempts norms and biases."""

_base_ = [
    '../_base_/models/eomt_vit-tiny.py',
    '../_base_/datasets/ade20k_512.py',
    '../_base_/schedules/adamw-160k_ade20k.py',
    '../_base_/seg_runtime.py',
]
image_size = 512
max_iters = 40000
model = dict(
    type='mmlite.EoMTSegmentor',
    data_preprocessor=dict(
        _base_.pixels,
        type='SegDataPreProcessor',
        pad_val=0,
        seg_pad_val=255,
        size=(image_size, image_size),
        test_cfg=dict(size=(image_size, image_size)),
    ),
    backbone=dict(_base_.encoder, img_size=image_size),
    decode_head=dict(
        _base_.query_head,
        type='mmlite.EoMTSegHead',
        num_classes=150,
        num_queries=100,
        train_cfg=_base_.matching,
    ),
    test_cfg=dict(mode='slide', crop_size=(image_size, image_size), stride=(341, 341)),
)
train_cfg = dict(max_iters=max_iters, val_interval=8000)
optim_wrapper = dict(clip_grad=dict(max_norm=0.01))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=1500),
    dict(type='PolyLR', power=0.9, eta_min=0.0, by_epoch=False, begin=1500, end=max_iters),
]
custom_hooks = [*_base_.custom_hooks, dict(type='mmlite.MaskAnnealingHook')]
