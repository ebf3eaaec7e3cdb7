"""OSTrack-T by GOT-10k's protocol: trained on its training split alone, for 100 epochs."""

_base_ = './ostrack_vit-tiny-ce_4xb32-300e_sot-256px_test-got10k.py'
max_epochs = 100
got10k = dict(type='mmlite.GOT10kDataset', data_root='data/GOT-10k/', split='train')
train_dataloader = dict(dataset=dict(datasets=[got10k], ratios=[1]))
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = [dict(_base_.param_scheduler[0], milestones=[80], end=max_epochs)]
custom_hooks = [*_base_.custom_hooks[:-1], dict(_base_.custom_hooks[-1], warm_epochs=50)]
