"""The paper's best tracker of its size: from D2-MAE's weights (LaSOT AUC 66.1, paper)."""

_base_ = './ostrack_vit-tiny-ce_4xb32-300e_sot-256px.py'
checkpoint = 'checkpoints/d2-mae_vit-tiny_400e_in1k.pth'
model = dict(backbone=dict(init_cfg=dict(type='Pretrained', checkpoint=checkpoint)))
