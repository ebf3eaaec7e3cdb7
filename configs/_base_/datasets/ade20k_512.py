"""ADE20K scene parsing (150 classes), crops of 512 pixels: mmseg's and BEiT's pipeline.

Annotations load as the data set says: ``ADE20KDataset`` ignores label 0 ('other') and counts the
classes from 1, i.e. ``reduce_zero_label=True``.
"""

data_root = 'data/ade/ADEChallengeData2016/'
image_scale = (2048, 512)  # longest side, shortest side
crop_size = (512, 512)
train_pipeline = [
    dict(type='mmlite.LoadImageFromFile'),
    dict(type='mmlite.LoadSegAnnotations'),
    dict(type='RandomResize', scale=image_scale, ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='mmlite.LoadImageFromFile'),
    dict(type='Resize', scale=image_scale, keep_ratio=True),
    # labels are loaded after the resizing: what is scored has the size of the original
    dict(type='mmlite.LoadSegAnnotations'),
    dict(type='PackSegInputs'),
]
# relative to the size of the image: in the benchmark's files the shortest side has 512 pixels
tta_pipeline = [
    dict(type='mmlite.LoadImageFromFile'),
    dict(
        type='TestTimeAug',
        transforms=[
            [
                dict(type='Resize', scale_factor=ratio, keep_ratio=True)
                for ratio in (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
            ],
            [
                dict(type='RandomFlip', prob=0.0, direction='horizontal'),
                dict(type='RandomFlip', prob=1.0, direction='horizontal'),
            ],
            [dict(type='mmlite.LoadSegAnnotations')],
            [dict(type='PackSegInputs')],
        ],
    ),
]
train_dataloader = dict(
    batch_size=2,
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='ADE20KDataset',
        data_root=data_root,
        data_prefix=dict(img_path='images/training', seg_map_path='annotations/training'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ADE20KDataset',
        data_root=data_root,
        data_prefix=dict(img_path='images/validation', seg_map_path='annotations/validation'),
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
