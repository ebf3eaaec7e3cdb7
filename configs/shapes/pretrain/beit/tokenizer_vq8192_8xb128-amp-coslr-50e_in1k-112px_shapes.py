"""A tokenizer of 512 codes for generated images, trained before the small BEiT."""

_base_ = [
    '../../../pretrain/beit/tokenizer_vq8192_8xb128-amp-coslr-50e_in1k-112px.py',
    '../../../_base_/shapes_pretrain.py',
]
model = dict(vocab_size=512, channels=(32, 64, 64))
train_pipeline = _base_.train_pipeline
train_pipeline[1].update(_base_.small_crop)
train_pipeline[1].update(scale=_base_.small_size // 2)
small_set = dict(_base_.small_set, _delete_=True, pipeline=train_pipeline)
train_dataloader = dict(_base_.small_loader, dataset=small_set)
train_cfg = _base_.small_cfg
optim_wrapper = _base_.small_wrapper
param_scheduler = _base_.small_schedule
auto_scale_lr = _base_.small_scale_lr
default_hooks = _base_.small_hooks
