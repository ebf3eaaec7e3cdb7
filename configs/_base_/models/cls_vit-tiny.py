"""ViT-Tiny under a linear classifier: mean of the patch tokens, a fresh norm, a linear layer
(MAE-Lite's fine-tuning model: 5,717,416 parameters with 1000 classes)."""

model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True
    ),
    backbone=dict(type='mmlite.ViT', arch='tiny', img_size=224, out_type='avg_featmap'),
    head=dict(
        type='LinearClsHead',
        num_classes=1000,
        in_channels=192,
        loss=dict(type='CrossEntropyLoss'),
        init_cfg=dict(type='TruncNormal', layer='Linear', std=0.02),
    ),
)
