"""Linear probing of a frozen ViT-Tiny on ImageNet-1K by MAE's protocol, on the mean of the patch
tokens or the class token; ``tools/sweep.py`` tries both."""

_base_ = [
    '../_base_/models/cls_vit-tiny.py',
    '../_base_/models/cls_linear.py',
    '../_base_/datasets/imagenet_crops.py',
    '../_base_/schedules/lars-coslr-90e_linear.py',
    '../_base_/cls_runtime.py',
]
model = _base_.linear
train_dataloader = dict(batch_size=2048)
# each GPU has its own statistics of the features
custom_hooks = [*_base_.custom_hooks, dict(type='SyncBuffersHook')]
sweep_grid = {'model.backbone.out_type': ['avg_featmap', 'cls_token']}
