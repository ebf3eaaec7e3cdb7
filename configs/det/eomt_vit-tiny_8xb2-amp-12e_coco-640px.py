"""EoMT, ViT-Tiny, instance segmentation: 12 epochs, learning rate and clipping of the paper's COCO
runs (arXiv 2503.19108), which have no ViT-Tiny. Ours are the recipe's large-scale jitter and weight
decay, one warm-up for all parameters in place of two, and layer decay on all blocks."""

_base_ = [
    '../_base_/models/eomt_vit-tiny.py',
    '../_base_/datasets/coco_lsj-640px.py',
    '../_base_/schedules/adamw-100e_coco.py',
    '../_base_/det_runtime.py',
]
image_size = 640
max_iters = 89000
model = dict(
    type='mmlite.EoMTDetector',
    data_preprocessor=dict(
        _base_.pixels,
        type='DetDataPreprocessor',
        pad_mask=True,
        mask_pad_value=0,
        pad_size_divisor=image_size,
    ),
    backbone=dict(_base_.encoder, img_size=image_size),
    panoptic_head=dict(
        _base_.query_head,
        type='mmlite.EoMTHead',
        num_things_classes=80,
        num_stuff_classes=0,
        num_queries=200,
    ),
    panoptic_fusion_head=dict(
        type='MaskFormerFusionHead',
        num_things_classes=80,
        num_stuff_classes=0,
        loss_panoptic=None,
    ),
    train_cfg=_base_.matching,
    test_cfg=dict(
        panoptic_on=False,
        semantic_on=False,
        instance_on=True,
        max_per_image=100,
        object_mask_thr=0.8,
        iou_thr=0.8,
        filter_low_score=True,
    ),
)
train_dataloader = dict(batch_size=2)
train_cfg = dict(max_iters=max_iters)
optim_wrapper = dict(
    optimizer=dict(lr=1e-4),
    paramwise_cfg=dict(layer_decay_rate=0.8),
    clip_grad=dict(max_norm=0.01),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=1500),
    dict(type='PolyLR', power=0.9, eta_min=0.0, by_epoch=False, begin=1500, end=max_iters),
]
auto_scale_lr = dict(base_batch_size=16)
custom_hooks = [*_base_.custom_hooks, dict(type='mmlite.MaskAnnealingHook')]
