"""EoMT on ViT-Tiny, small, trained on generated data like Mask R-CNN but with its clipping."""

_base_ = './mask-rcnn_vit-tiny-sfp_8xb8-amp-lsj-100e_coco-640px_shapes.py'
from mmlite.engine.swap import shrink_model

sizes = [(80, 4), (640, 192), (200, 30), (12544, 1024)]
model = shrink_model('mmlite::det/eomt_vit-tiny_8xb2-amp-12e_coco-640px.py', _base_, sizes)
optim_wrapper = dict(clip_grad=dict(max_norm=0.01))
custom_hooks = [*_base_.custom_hooks, dict(type='mmlite.MaskAnnealingHook')]
