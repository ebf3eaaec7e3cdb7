"""CIFAR-100, 50,000 and 10,000 images of 32 pixels, enlarged to 224.

They are read from memory, in RGB order: a model needs ``data_preprocessor.to_rgb=False``.
"""

_base_ = './crops_224px.py'
cifar = dict(type='CIFAR100', data_root='data/cifar100/')
train_pipeline = _base_.train_pipeline[1:]
test_pipeline = _base_.test_pipeline[1:]
train_dataloader = dict(dataset=dict(cifar, split='train', pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(cifar, split='test', pipeline=test_pipeline))
test_dataloader = val_dataloader
