"""MAE, ViT-Tiny, 400 epochs (paper: 78.0 top-1 after fine-tuning for 300 epochs)."""

_base_ = [
    '../../_base_/models/mae_vit-tiny.py',
    '../../_base_/datasets/imagenet_pretrain.py',
    '../../_base_/schedules/adamw-coslr-400e_pretrain.py',
    '../../_base_/pretrain_runtime.py',
]
