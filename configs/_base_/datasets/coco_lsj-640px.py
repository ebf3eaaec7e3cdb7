"""COCO instance segmentation with large-scale jitter (ViTDet: 0.1 to 2.0, fixed crop)."""

data_root = 'data/coco/'
image_scale = (640, 640)
train_pipeline = [
    dict(type='mmlite.LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True, poly2mask=False),
    dict(type='RandomFlip', prob=0.5),
    # Pillow's bilinear filter is antialiased; OpenCV's is not, and LSJ shrinks up to tenfold
    dict(
        type='RandomResize', scale=image_scale, ratio_range=(0.1, 2.0), keep_ratio=True,
        backend='pillow',
    ),
    dict(
        type='RandomCrop', crop_type='absolute', crop_size=image_scale, recompute_bbox=True,
        allow_negative_crop=True,
    ),
    # an image whose objects are all cropped away stays: keep_empty=True would drop it
    dict(type='FilterAnnotations', min_gt_bbox_wh=(1e-2, 1e-2), keep_empty=False),
    dict(type='PackDetInputs'),
]  # fmt: skip
test_pipeline = [
    dict(type='mmlite.LoadImageFromFile'),
    dict(type='Resize', scale=image_scale, keep_ratio=True, backend='pillow'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True, poly2mask=False),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
    ),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='mmlite.CocoDataset',
        data_root=data_root,
        ann_file='annotations/instances_train2017.json',
        data_prefix=dict(img='train2017/'),
        filter_cfg=dict(filter_empty_gt=True, min_size=1),
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
        type='mmlite.CocoDataset',
        data_root=data_root,
        ann_file='annotations/instances_val2017.json',
        data_prefix=dict(img='val2017/'),
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(
    type='mmlite.CocoMetric',
    ann_file=data_root + 'annotations/instances_val2017.json',
    metric=['bbox', 'segm'],
)
test_evaluator = val_evaluator
