"""ImageNet-1K without labels, as masked pre-training sees it (MAE-Lite: crop from 8%, flip).

Images may be anywhere below ``data_root/data_prefix``, also without directories of classes. A
subset is a list of them, ``ann_file``, see tools/dataset_converters/make_subset.py.
"""

data_root = 'data/imagenet/'
image_size = 224
train_pipeline = [
    dict(type='mmlite.LoadImageFromFile'),
    dict(
        type='mmlite.RandomResizedCrop', scale=image_size, crop_ratio_range=(0.08, 1.0),
        interpolation=('bilinear', 'bicubic'),
    ),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackInputs'),
]  # fmt: skip
train_dataloader = dict(
    batch_size=512,
    num_workers=16,
    persistent_workers=True,
    pin_memory=True,
    drop_last=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmlite.ImageFolder',
        data_root=data_root,
        data_prefix='train',
        with_label=False,
        pipeline=train_pipeline,
    ),
)
