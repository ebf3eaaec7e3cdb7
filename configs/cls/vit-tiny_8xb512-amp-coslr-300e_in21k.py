"""Supervised pre-training on ImageNet-21K by AugReg's recipe for a ViT-Tiny (paper: 77.8 after
fine-tuning, 76.9 from ``--epochs 30``).

AugReg (arXiv 2106.10270): crop and flip alone, 1e-3 at 4096 images, weight decay 0.03, 10,000
iterations of warm-up, a sigmoid for each class. The 13,153,500 images of the winter 2021 release
are 3,211 batches. No images are held out.
"""

_base_ = [
    '../_base_/models/cls_vit-tiny.py',
    '../_base_/datasets/imagenet_crops.py',
    '../_base_/schedules/adamw-coslr-300e_cls.py',
    '../_base_/cls_runtime.py',
]
classes = 19167
model = dict(
    data_preprocessor=dict(mean=[127.5] * 3, std=[127.5] * 3, num_classes=classes, to_onehot=True),
    head=dict(
        num_classes=classes,
        loss=dict(use_sigmoid=True),  # a sum over classes
        init_cfg=dict(_delete_=True, type='Constant', layer='Linear', val=0, bias=-10),
    ),
)
train_pipeline = _base_.train_pipeline
train_pipeline[1].update(crop_ratio_range=(0.05, 1.0), interpolation='bilinear')
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='mmlite.ImageFolder',
        data_root='data/imagenet21k/',
        data_prefix='train',
        pipeline=train_pipeline,
    )
)
train_cfg = dict(val_interval=1000)
val_cfg = test_cfg = val_dataloader = test_dataloader = val_evaluator = test_evaluator = None
optim_wrapper = dict(
    type='AmpOptimWrapper',
    optimizer=dict(lr=1e-3, weight_decay=0.03),
    clip_grad=dict(max_norm=1.0),
)
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=3)
param_scheduler[1].update(begin=3, eta_min_ratio=0.0)
default_hooks = dict(checkpoint=dict(interval=1, save_best=None))
auto_scale_lr = dict(base_batch_size=4096)
