"""EoMT on ViT-Tiny, small, trained on generated data like Semantic-FPN but with its clipping."""

_base_ = './semfpn_vit-tiny_8xb2-amp-160k_ade20k-512x512_shapes.py'
from mmlite.engine.swap import shrink_model

sizes = [(150, 8), (512, 128), (341, 85), (100, 30), (12544, 1024)]
model = shrink_model('mmlite::seg/eomt_vit-tiny_8xb2-amp-40k_ade20k-512x512.py', _base_, sizes)
optim_wrapper = dict(clip_grad=dict(max_norm=0.01))
custom_hooks = [*_base_.custom_hooks, dict(type='mmlite.MaskAnnealingHook')]
