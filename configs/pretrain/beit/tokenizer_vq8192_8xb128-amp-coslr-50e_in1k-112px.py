"""A tokenizer for BEiT: 8192 codes, stride 8, trained to restore crops of 112 pixels.

The schedule is ours; no paper of this suite has such a tokenizer.
"""

_base_ = [
    '../../_base_/models/pretrain.py',
    '../../_base_/datasets/imagenet_pretrain.py',
    '../../_base_/schedules/adamw-coslr-400e_pretrain.py',
    '../../_base_/pretrain_runtime.py',
]
model = dict(
    type='mmlite.DiscreteTokenizer',
    vocab_size=8192,
    data_preprocessor=dict(mean=[127.5] * 3, std=[127.5] * 3),
)
train_pipeline = _base_.train_pipeline
train_pipeline[1].update(scale=112, interpolation='lanczos')
train_dataloader = dict(batch_size=128, dataset=dict(pipeline=train_pipeline))
max_epochs = 50
train_cfg = dict(max_epochs=max_epochs)
optim_wrapper = dict(optimizer=dict(lr=4e-4, betas=(0.9, 0.99), weight_decay=1e-4))
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=1)
param_scheduler[1].update(begin=1, end=max_epochs)
# `--auto-scale-lr` scales the learning rate from 8 GPUs x 128 images to the actual batch
auto_scale_lr = dict(base_batch_size=1024)
