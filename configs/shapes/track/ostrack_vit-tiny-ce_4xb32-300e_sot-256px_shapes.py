"""OSTrack-T shrunk to generated sequences, crops of 64 and 128 pixels, minutes on two CPU cores.

The coordinates of crops are exact, as they should be for a tracker trained anew.
"""

_base_ = '../../track/ostrack_vit-tiny-ce_4xb32-300e_sot-256px.py'
make_data = (
    'python tools/dataset_converters/make_shapes.py --tasks sot --out data/shapes --train 80 '
    '--val 16 --size 256 --frames 50 --min-size 0.12 --max-size 0.25'
)
max_epochs = 20
template_size, search_size = 64, 128
coords = 'exact'

model = dict(
    head=dict(channels=64),
    template_size=template_size,
    search_size=search_size,
    coords=coords,
)
train_pipeline = _base_.train_pipeline
train_pipeline[0].update(coords=coords)
train_pipeline[0].template.update(size=template_size)
train_pipeline[0].search.update(size=search_size)
lasot = dict(type='mmlite.LaSOTDataset', data_root='data/shapes/lasot/')
train_dataloader = dict(
    batch_size=32,
    num_workers=1,
    pin_memory=False,
    dataset=dict(
        datasets=[dict(lasot, split='train')],
        ratios=[1],
        samples_per_epoch=3200,
        pipeline=train_pipeline,
    ),
)
test_dataloader = dict(dataset=dict(lasot, _delete_=True, split='test'))
val_dataloader = test_dataloader

train_cfg = dict(max_epochs=max_epochs, val_interval=10)
optim_wrapper = dict(
    optimizer=dict(lr=1e-3),
    clip_grad=dict(max_norm=1.0),
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.5), pos_embed=dict(lr_mult=0.5))),
)
param_scheduler = [
    dict(type='MultiStepLR', by_epoch=True, milestones=[16], gamma=0.1, end=max_epochs)
]
auto_scale_lr = dict(base_batch_size=32)
custom_hooks = [
    *_base_.custom_hooks[:-1],
    dict(type='mmlite.EliminationScheduleHook', start_epoch=7, warm_epochs=4),
]
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(interval=4, max_keep_ckpts=2))
