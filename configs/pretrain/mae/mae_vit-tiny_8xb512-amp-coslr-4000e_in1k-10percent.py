"""MAE on a class-balanced tenth of ImageNet-1K, as many iterations as on the whole.

The list: tools/dataset_converters/make_subset.py data/imagenet/train --fraction 0.1"""

_base_ = './mae_vit-tiny_8xb512-amp-coslr-400e_in1k.py'
max_epochs = 4000
train_dataloader = dict(dataset=dict(ann_file='meta/train_10percent.txt'))
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=400)
param_scheduler[1].update(begin=400, end=max_epochs)
default_hooks = dict(checkpoint=dict(interval=100))
