"""MAE on ImageNet-LT's 115,846 images, as many iterations as on the whole of ImageNet-1K.

28 batches of 4096 an epoch. The list: tools/dataset_converters/make_subset.py with
--from-list ImageNet_LT_train.txt --out data/imagenet/meta/train_longtailed.txt; or with
--long-tailed for one of our own"""

_base_ = './mae_vit-tiny_8xb512-amp-coslr-400e_in1k.py'
max_epochs = 4457
train_dataloader = dict(dataset=dict(ann_file='meta/train_longtailed.txt'))
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=446)
param_scheduler[1].update(begin=446, end=max_epochs)
default_hooks = dict(checkpoint=dict(interval=100))
