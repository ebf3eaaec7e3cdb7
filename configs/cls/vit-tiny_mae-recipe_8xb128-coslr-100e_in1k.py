"""From MAE by MAE's own fine-tuning (MAE-Lite's code, finetuning_mae_exp): 100 epochs with the
augmentation of DeiT's recipe."""

_base_ = './vit-tiny_deit-recipe_8xb128-coslr-300e_in1k.py'
checkpoint = 'checkpoints/mae_vit-tiny_400e_in1k.pth'
model = dict(
    backbone=dict(out_type='avg_featmap', init_cfg=dict(type='Pretrained', checkpoint=checkpoint))
)
train_dataloader = dict(sampler=dict(_delete_=True, type='DefaultSampler', shuffle=True))
max_epochs = 100
train_cfg = dict(max_epochs=max_epochs)
optim_wrapper = dict(optimizer=dict(lr=4e-3), paramwise_cfg=dict(layer_decay_rate=0.85))
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(start_factor=1e-6)
param_scheduler[1].update(end=max_epochs, eta_min_ratio=2.5e-4)
