"""BootMAE, ViT-Tiny, on generated images: 22 of 36 patches in blocks, 27 in all."""

_base_ = [
    '../../../pretrain/bootmae/bootmae_vit-tiny_8xb512-amp-coslr-400e_in1k.py',
    '../../../_base_/shapes_pretrain.py',
]
model = dict(
    backbone=dict(img_size=_base_.small_size),
    # 620 iterations are too few for 0.999 and more
    momentum=[(0.0, 0.98), (1.0, 0.998)],
)
train_pipeline = _base_.train_pipeline
train_pipeline[1].update(_base_.small_crop)
train_pipeline[3].update(
    input_size=_base_.small_grid, num_masking_patches=22, min_num_patches=4, max_num_patches=11
)
small_set = dict(_base_.small_set, _delete_=True, pipeline=train_pipeline)
train_dataloader = dict(_base_.small_loader, dataset=small_set)
train_cfg = _base_.small_cfg
optim_wrapper = _base_.small_wrapper
param_scheduler = _base_.small_schedule
auto_scale_lr = _base_.small_scale_lr
default_hooks = _base_.small_hooks
