"""Linear probing of a frozen ViT-Tiny on iNaturalist 2018, as on ImageNet."""

_base_ = ['./vit-tiny_linear_8xb2048-amp-coslr-90e_in1k.py', '../_base_/datasets/inat18.py']
model = dict(head=dict(num_classes=_base_.inat18_classes))
train_dataloader = dict(dataset=dict(_base_.inat18_train, pipeline=_base_.train_pipeline))
val_dataloader = dict(dataset=dict(_base_.inat18_val, pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
