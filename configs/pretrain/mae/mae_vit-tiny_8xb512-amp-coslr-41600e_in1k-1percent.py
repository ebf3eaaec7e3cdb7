"""MAE on a class-balanced hundredth of ImageNet-1K, as many iterations as on the whole.

12,811 images are 3 batches of 4096, so 124,800 iterations are 41,600 epochs. The list:
tools/dataset_converters/make_subset.py data/imagenet/train --fraction 0.01"""

_base_ = './mae_vit-tiny_8xb512-amp-coslr-400e_in1k.py'
max_epochs = 41600
train_dataloader = dict(dataset=dict(ann_file='meta/train_1percent.txt'))
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=4160)
param_scheduler[1].update(begin=4160, end=max_epochs)
default_hooks = dict(checkpoint=dict(interval=1000))
