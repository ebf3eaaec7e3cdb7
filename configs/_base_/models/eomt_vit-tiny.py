"""EoMT (arXiv 2503.19108): encoder ViT-Tiny, losses and matching; queries in the last 3 blocks."""

pixels = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True)
encoder = dict(
    type='mmlite.ViT',
    arch='tiny',
    pretrain_img_size=224,
    out_type='raw',
    final_norm=True,
)
query_head = dict(
    in_channels=192,
    patch_size=16,
    num_blocks=3,
    loss_cls=dict(
        type='mmdet.CrossEntropyLoss', use_sigmoid=False, loss_weight=2.0, reduction='mean'
    ),
    loss_mask=dict(
        type='mmdet.CrossEntropyLoss', use_sigmoid=True, loss_weight=5.0, reduction='mean'
    ),
    loss_dice=dict(
        type='mmdet.DiceLoss', use_sigmoid=True, activate=True, naive_dice=True, eps=1.0,
        loss_weight=5.0, reduction='mean',
    ),
)  # fmt: skip
matching = dict(
    num_points=12544,
    oversample_ratio=3.0,
    importance_sample_ratio=0.75,
    assigner=dict(
        type='mmdet.HungarianAssigner',
        match_costs=[
            dict(type='mmdet.ClassificationCost', weight=2.0),
            dict(type='mmdet.CrossEntropyLossCost', weight=5.0, use_sigmoid=True),
            dict(type='mmdet.DiceCost', weight=5.0, pred_act=True, eps=1.0),
        ],
    ),
    sampler=dict(type='mmdet.MaskPseudoSampler'),
)
