"""OSTrack-T: ViT-Tiny with candidate elimination, 8.0M parameters, 1.9G (paper), LaSOT.

The paper's count leaves the products of attention out; with them it is 2.20 GMAC.
"""

_base_ = './ostrack_vit-tiny_4xb32-300e_sot-256px.py'
model = dict(elimination=dict(type='mmlite.CandidateElimination', blocks=(3, 6, 9), keep_ratio=0.7))
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='mmlite.EliminationScheduleHook', start_epoch=20, warm_epochs=80),
]
