"""Distillation of features on generated images, taught by the classifier of
cls/vit-tiny_8xb128-coslr-300e_in1k_shapes.py: a network that has seen labels, as no image model of
the web has. Colors stay as they are, since classes differ by hue."""

_base_ = [
    '../../../pretrain/distill/distill_vit-tiny_dinov2-small_8xb128-amp-coslr-100e_in1k.py',
    '../../../_base_/shapes_pretrain.py',
]
teacher = 'work_dirs/vit-tiny_8xb128-coslr-300e_in1k_shapes/epoch_8.pth'
small_pair = dict(_base_.pair, teacher='blocks.11')  # the classifier's norm follows its pooling
small_pair['adapter'].update(hidden_channels=384)
model = dict(
    backbone=dict(img_size=_base_.small_size),
    mixup=False,
    distill=dict(
        teacher=dict(
            _delete_=True,
            type='mmlite.ViT',
            arch='tiny',
            img_size=_base_.small_size,
            out_type='raw',
            final_norm=False,
            init_cfg=dict(type='Pretrained', checkpoint=teacher),
        ),
        pairs=[
            dict(small_pair, tokens='patches', loss=dict(type='mmlite.CosineSmoothL1Loss')),
            dict(small_pair, tokens='cls', loss=dict(type='mmlite.CosineLoss')),
        ],
    ),
)
train_pipeline = [*_base_.train_pipeline[:3], _base_.train_pipeline[-1]]
train_pipeline[1].update(_base_.small_crop)
small_set = dict(_base_.small_set, _delete_=True, pipeline=train_pipeline)
train_dataloader = dict(_base_.small_loader, dataset=small_set)
train_cfg = _base_.small_cfg
optim_wrapper = _base_.small_wrapper
param_scheduler = _base_.small_schedule
auto_scale_lr = _base_.small_scale_lr
default_hooks = _base_.small_hooks
