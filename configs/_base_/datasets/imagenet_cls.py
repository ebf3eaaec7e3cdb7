"""ImageNet-1K as MAE-Lite fine-tunes on it (Table S1): RandAugment of magnitude 10 with a noise of
0.5, two operations per image.

The table's color jitter of 0.3 has no effect in the official run, as timm leaves it out beside
RandAugment; it is in the pipeline with factors of 0, which can be raised.
"""

_base_ = './imagenet_crops.py'
train_pipeline = [
    *_base_.train_pipeline[:3],
    dict(
        type='RandAugment',
        policies='timm_increasing',
        num_policies=2,
        magnitude_level=10,
        magnitude_std=0.5,
        hparams=dict(pad_val=[104, 116, 124], interpolation='bicubic'),  # mean color, BGR
    ),
    dict(type='mmlite.ColorJitter', brightness=0.0, contrast=0.0, saturation=0.0),
    dict(type='PackInputs'),
]
train_dataloader = dict(batch_size=128, dataset=dict(pipeline=train_pipeline))
