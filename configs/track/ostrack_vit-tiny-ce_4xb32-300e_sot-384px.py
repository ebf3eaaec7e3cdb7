"""OSTrack-384 on ViT-Tiny: larger crops, of a wider search region that is jittered more."""

_base_ = './ostrack_vit-tiny-ce_4xb32-300e_sot-256px.py'
model = dict(template_size=192, search_size=384, search_factor=5.0)
train_pipeline = _base_.train_pipeline
train_pipeline[0].update(
    template=dict(size=192, factor=2.0),
    search=dict(size=384, factor=5.0, center_jitter=4.5, scale_jitter=0.5),
)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
