"""MoCo v3, ViT-Tiny, 400 epochs (paper: 76.8 top-1 after fine-tuning for 300 epochs)."""

_base_ = [
    '../../_base_/models/pretrain_vit-tiny.py',
    '../../_base_/datasets/imagenet_views.py',
    '../../_base_/schedules/adamw-coslr-400e_pretrain.py',
    '../../_base_/pretrain_runtime.py',
]
perceptron = dict(
    type='NonLinearNeck',
    hid_channels=4096,
    out_channels=256,
    with_last_bn_affine=False,
    with_avg_pool=False,
    norm_cfg=dict(type='SyncBN'),
)
model = dict(
    type='mmlite.MoCoV3',
    backbone=dict(out_type='cls_token', pos_embed='sincos', weight_init='moco'),
    neck=dict(perceptron, in_channels=192, num_layers=3),
    head=dict(
        type='mmlite.MoCoV3Head',
        predictor=dict(perceptron, in_channels=256, num_layers=2),
        temperature=0.2,
    ),
    base_momentum=0.99,
)

crop = dict(type='mmlite.RandomResizedCrop', scale=224, crop_ratio_range=(0.08, 1.0))
views = [
    [
        crop,
        _base_.jitter,
        _base_.gray,
        dict(_base_.blur, prob=blur_prob),
        dict(_base_.solarize, prob=solarize_prob),
        _base_.flip,
    ]
    for blur_prob, solarize_prob in ((1.0, 0.0), (0.1, 0.2))
]
train_pipeline = [
    dict(type='mmlite.LoadImageFromFile'),
    dict(type='MultiView', num_views=[1, 1], transforms=views),
    dict(type='PackInputs'),
]
train_dataloader = dict(batch_size=128, dataset=dict(pipeline=train_pipeline))

lr = 6e-4  # 1.5e-4 per 256 images
optim_wrapper = dict(
    optimizer=dict(lr=lr, betas=(0.9, 0.999), weight_decay=0.1),
    paramwise_cfg=dict(_delete_=True),  # biases and norms are decayed, too
)
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(start_factor=1e-6 / lr)
auto_scale_lr = dict(base_batch_size=1024)
