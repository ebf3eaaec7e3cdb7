"""ViT-Tiny of 12 heads by DeiT's own recipe, 300 epochs from random weights (paper: 74.5).

DeiT (arXiv 2012.12877, Table 9): class token, 5e-4 per 512 images, RandAugment 9, mixup 0.8 or
CutMix 1.0, label smoothing 0.1, random erasing 0.25, drop path 0.1, three views of an image.
"""

_base_ = './vit-tiny_8xb128-coslr-300e_in1k.py'
model = dict(
    backbone=dict(out_type='cls_token', drop_path_rate=0.1),
    head=dict(
        loss=dict(
            _delete_=True,
            type='LabelSmoothLoss',
            label_smooth_val=0.1,
            num_classes=1000,
            mode='original',
        )
    ),
    train_cfg=dict(
        _delete_=True,
        augments=[dict(type='Mixup', alpha=0.8), dict(type='CutMix', alpha=1.0)],
    ),
)
train_pipeline = _base_.train_pipeline
train_pipeline[3].update(magnitude_level=9)
erasing = dict(
    type='RandomErasing',
    erase_prob=0.25,
    mode='rand',
    min_area_ratio=0.02,
    max_area_ratio=1 / 3,
    fill_color=[103.53, 116.28, 123.675],
    fill_std=[57.375, 57.12, 58.395],
)
train_pipeline.insert(-1, erasing)
train_dataloader = dict(
    sampler=dict(_delete_=True, type='RepeatAugSampler', shuffle=True),
    dataset=dict(pipeline=train_pipeline),
)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(start_factor=1e-3)  # from 1e-6
param_scheduler[1].update(eta_min_ratio=1e-2)  # to 1e-5
