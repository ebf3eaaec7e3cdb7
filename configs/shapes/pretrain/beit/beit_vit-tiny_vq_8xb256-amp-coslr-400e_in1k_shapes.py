"""BEiT, ViT-Tiny, on generated images, with the tokenizer of tokenizer_vq8192_*_shapes.py."""

_base_ = [
    '../../../pretrain/beit/beit_vit-tiny_vq_8xb256-amp-coslr-400e_in1k.py',
    '../../../_base_/shapes_pretrain.py',
]
tokenizer = 'work_dirs/tokenizer_vq8192_8xb128-amp-coslr-50e_in1k-112px_shapes/epoch_20.pth'
model = dict(
    backbone=dict(img_size=_base_.small_size),
    head=dict(num_embed=512),
    target_generator=dict(
        vocab_size=512, channels=(32, 64, 64), init_cfg=dict(checkpoint=tokenizer)
    ),
)
train_pipeline = _base_.train_pipeline
train_pipeline[3].update(_base_.small_crop)
train_pipeline[3].update(second_scale=_base_.small_size // 2)
train_pipeline[4].update(input_size=_base_.small_grid, num_masking_patches=14, min_num_patches=4)
small_set = dict(_base_.small_set, _delete_=True, pipeline=train_pipeline)
train_dataloader = dict(_base_.small_loader, dataset=small_set)
train_cfg = _base_.small_cfg
optim_wrapper = _base_.small_wrapper
param_scheduler = _base_.small_schedule
auto_scale_lr = _base_.small_scale_lr
default_hooks = _base_.small_hooks
