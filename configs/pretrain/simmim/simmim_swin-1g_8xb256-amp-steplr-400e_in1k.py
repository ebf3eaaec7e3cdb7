"""SimMIM, Swin-1G, 400 epochs, as MAE-Lite's code trains it (paper: 77.4 top-1).

The original learning rate drops at epoch 700 of 800, so that it stays constant here.
"""

_base_ = './simmim_vit-tiny_8xb256-amp-steplr-400e_in1k.py'
model = dict(
    backbone=dict(
        _delete_=True, type='mmlite.Swin', arch='1g', img_size=224, mask_token=True, out_type='raw',
        final_norm=False, drop_path_rate=0.1,
    ),
    decode_from='blocks.11',
    neck=dict(type='mmlite.SwinDecoder', in_channels=384, encoder_stride=32),
)  # fmt: skip
train_pipeline = _base_.train_pipeline
train_pipeline[1].update(interpolation=('bilinear', 'bicubic'))
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
optim_wrapper = dict(optimizer=dict(lr=4e-4, betas=(0.9, 0.99)))
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(milestones=[700])
