"""ViT-Tiny on ImageNet-1K, 300 epochs of MAE-Lite's recipe from random weights (paper: 75.8)."""

_base_ = [
    '../_base_/models/cls_vit-tiny.py',
    '../_base_/datasets/imagenet_cls.py',
    '../_base_/schedules/adamw-coslr-300e_cls.py',
    '../_base_/cls_runtime.py',
]
model = dict(
    data_preprocessor=dict(num_classes=1000),  # of mixed labels
    head=dict(loss=dict(use_soft=True)),
    train_cfg=dict(augments=dict(type='Mixup', alpha=0.2)),
)
