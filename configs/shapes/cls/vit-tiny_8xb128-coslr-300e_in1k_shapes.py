"""The ImageNet recipe from random weights, shrunk to twelve classes of generated images."""

_base_ = [
    '../../cls/vit-tiny_8xb128-coslr-300e_in1k.py',
    '../../_base_/shapes_cls.py',
]
model = dict(_base_.small_model, data_preprocessor=dict(num_classes=_base_.small_classes))
image_size = _base_.small_size
train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline
train_pipeline[1].update(_base_.small_crop)
test_pipeline[1].update(_base_.small_resize)
test_pipeline[2].update(_base_.small_center)
small_train = dict(_base_.small_set, data_prefix='train', pipeline=train_pipeline)
small_val = dict(_base_.small_set, data_prefix='val', pipeline=test_pipeline)
train_dataloader = dict(_base_.small_loader, dataset=small_train)
val_dataloader = dict(_base_.small_loader, dataset=small_val)
test_dataloader = val_dataloader
val_evaluator = _base_.small_evaluator
test_evaluator = val_evaluator
train_cfg = _base_.small_cfg
init_layer_decay = False  # one recipe for all initializations
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=_base_.small_warm_up)
param_scheduler[1].update(begin=_base_.small_warm_up, end=_base_.small_epochs)
auto_scale_lr = _base_.small_scale_lr
default_hooks = _base_.small_hooks
