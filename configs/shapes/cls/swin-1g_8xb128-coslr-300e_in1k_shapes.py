"""The Swin-1G recipe, shrunk as ViT-Tiny's is; windows of 3 tokens divide its maps."""

_base_ = [
    './vit-tiny_8xb128-coslr-300e_in1k_shapes.py',
    '../../_base_/models/cls_swin-1g.py',
]
small = dict(img_size=_base_.small_size, window_size=3)
model = dict(
    _base_.swin_1g,
    backbone=dict(_base_.swin_1g.backbone, _delete_=True, **small),
)
