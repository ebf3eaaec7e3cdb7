"""DINO, ViT-Tiny, on generated images: four local views and 1024 prototypes."""

_base_ = [
    '../../../pretrain/dino/dino_vit-tiny_8xb128-amp-coslr-400e_in1k.py',
    '../../../_base_/shapes_pretrain.py',
]
prototypes = 1024
model = dict(
    backbone=dict(img_size=_base_.small_size),
    neck=dict(hidden_channels=512, out_channels=prototypes),
    head=dict(out_channels=prototypes),
    base_momentum=0.99,  # 620 iterations are too few for 0.996
)
train_pipeline = _base_.train_pipeline
train_pipeline[1]['num_views'] = [1, 1, 4]
for view, size, area in zip(
    train_pipeline[1]['transforms'],
    (_base_.small_size, _base_.small_size, 48),
    ((0.2, 0.5), (0.2, 0.5), (0.05, 0.2)),
    strict=True,
):
    view[0].update(scale=size, crop_ratio_range=area)
small_set = dict(_base_.small_set, _delete_=True, pipeline=train_pipeline)
train_dataloader = dict(_base_.small_loader, dataset=small_set)
train_cfg = _base_.small_cfg
optim_wrapper = _base_.small_wrapper
param_scheduler = [
    *_base_.small_schedule,
    dict(
        type='CosineAnnealingWeightDecay', eta_min=0.4, by_epoch=True, begin=0,
        end=_base_.small_epochs, convert_to_iter_based=True,
    ),
]  # fmt: skip
auto_scale_lr = _base_.small_scale_lr
default_hooks = _base_.small_hooks
