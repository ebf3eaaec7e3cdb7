"""Training pairs as released for OSTrack-256: LaSOT, GOT-10k, COCO and TrackingNet in equal parts.

60,000 pairs an epoch over all GPUs. Losses on held-out pairs are not computed: validation is
one-pass evaluation, see sot_tests.py.
"""

sot_trainsets = dict(
    lasot=dict(type='mmlite.LaSOTDataset', data_root='data/LaSOT/', split='train'),
    # 7,086 of the 9,335 training videos; the list is got10k_vot_train_split.txt of OSTrack's code
    got10k=dict(
        type='mmlite.GOT10kDataset',
        data_root='data/GOT-10k/',
        split='vot_train',
        index_file='data/GOT-10k/got10k_vot_train_split.txt',
    ),
    coco=dict(type='mmlite.COCOStillsDataset', data_root='data/coco/', split='train2017'),
    trackingnet=dict(
        type='mmlite.TrackingNetDataset', data_root='data/TrackingNet/', split='train'
    ),
    imagenet_vid=dict(type='mmlite.ImageNetVIDDataset', data_root='data/ILSVRC2015/'),  # not used
)
train_pipeline = [
    dict(
        type='mmlite.CropPair',
        template=dict(size=128, factor=2.0),
        search=dict(size=256, factor=4.0, center_jitter=3.0, scale_jitter=0.25),
        gray_prob=0.05,
        flip_prob=0.5,
        coords='ostrack',
    ),
    dict(type='mmlite.JitterBrightness', strength=0.2),
    dict(type='mmlite.FlipCrops', prob=0.5),
    dict(type='mmlite.PackTrackPair'),
]
train_dataloader = dict(
    batch_size=32,
    num_workers=10,
    persistent_workers=True,
    pin_memory=True,
    drop_last=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='mmlite.PairSampler'),
    dataset=dict(
        type='mmlite.TrackPairs',
        datasets=[
            sot_trainsets['lasot'],
            sot_trainsets['got10k'],
            sot_trainsets['coco'],
            sot_trainsets['trackingnet'],
        ],
        ratios=[1, 1, 1, 1],
        samples_per_epoch=60_000,
        max_interval=200,
        pipeline=train_pipeline,
    ),
)
