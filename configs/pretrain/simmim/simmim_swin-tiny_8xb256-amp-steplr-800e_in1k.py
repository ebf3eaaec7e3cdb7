"""SimMIM, Swin-Tiny, 800 epochs: the teacher of Swin-1G, with SimMIM's own linear decoder.

The schedule of the official checkpoint is not public; this one is SimMIM's.
"""

_base_ = './simmim_swin-1g_8xb256-amp-steplr-400e_in1k.py'
max_epochs = 800
model = dict(
    backbone=dict(arch='tiny', final_norm=True),
    decode_from='norm',
    neck=dict(_delete_=True, type='SimMIMLinearDecoder', in_channels=768, encoder_stride=32),
)
train_pipeline = _base_.train_pipeline
train_pipeline[1].update(interpolation='bilinear')
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(end=max_epochs)
