"""ViT-Tiny on iNaturalist 2018 by the ImageNet recipe, from random weights (paper: 57.1; from
D2-MAE with ``layer_decay_rate`` 0.85: 66.2)."""

_base_ = ['./vit-tiny_8xb128-coslr-300e_in1k.py', '../_base_/datasets/inat18.py']
classes = _base_.inat18_classes
model = dict(data_preprocessor=dict(num_classes=classes), head=dict(num_classes=classes))
train_dataloader = dict(dataset=dict(_base_.inat18_train, pipeline=_base_.train_pipeline))
val_dataloader = dict(dataset=dict(_base_.inat18_val, pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
