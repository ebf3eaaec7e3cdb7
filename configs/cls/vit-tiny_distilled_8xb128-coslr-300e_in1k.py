"""From MAE by MAE's own fine-tuning, with the classes of a RegNetY-16GF as further labels
(MAE-Lite's code, finetuning_distill_exp; DeiT's hard distillation)."""

_base_ = './vit-tiny_mae-recipe_8xb128-coslr-100e_in1k.py'
model = dict(
    type='mmlite.DistilledClassifier',
    teacher=dict(type='TimmClassifier', model_name='regnety_160.deit_in1k', pretrained=True),
    distill_type='hard',
    alpha=0.5,
)
max_epochs = 300
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(end=max_epochs)
