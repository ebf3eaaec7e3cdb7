"""MAE on ImageNet-21K; as many iterations as on ImageNet-1K (Table 2 says 400 epochs).

13,153,500 images (winter 2021) are 3,211 batches of 4096, so 39 epochs are 125,229 iterations.
"""

_base_ = './mae_vit-tiny_8xb512-amp-coslr-400e_in1k.py'
data_root = 'data/imagenet21k/'
max_epochs = 39
train_dataloader = dict(dataset=dict(data_root=data_root))
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=4)
param_scheduler[1].update(begin=4, end=max_epochs)
default_hooks = dict(checkpoint=dict(interval=1))
