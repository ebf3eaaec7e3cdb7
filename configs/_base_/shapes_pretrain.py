"""Settings that shrink a pre-training recipe to generated images and minutes on two CPU cores.

Crops of 96 pixels keep the scale of the images, so that textures look as they do to a detector.
A config under configs/shapes/pretrain inherits from its full recipe and from here, and takes these
variables.
"""

make_data = (
    'python tools/dataset_converters/make_shapes.py --tasks cls --out data/shapes --train 2000 '
    '--val 400 --size 192 --classes 4 --class-colors'
)
small_size = 96
small_grid = 6
small_model = dict(backbone=dict(img_size=small_size), neck=dict(grid=small_grid))
small_teacher = dict(arch='tiny', img_size=small_size)  # the small MAE, as large as its student
small_crop = dict(scale=small_size, crop_ratio_range=(0.1, 0.5))
small_loader = dict(batch_size=64, num_workers=1, pin_memory=False)
small_set = dict(
    type='CustomDataset',
    data_root='data/shapes/imagenet/',
    data_prefix='train',
    with_label=False,
)
small_epochs = 20
small_cfg = dict(max_epochs=small_epochs)
small_wrapper = dict(type='OptimWrapper', optimizer=dict(lr=1e-3))
small_schedule = [
    dict(
        type='LinearLR', start_factor=1e-6, by_epoch=True, begin=0, end=2,
        convert_to_iter_based=True,
    ),
    dict(
        type='CosineAnnealingLR', eta_min=0.0, by_epoch=True, begin=2, end=small_epochs,
        convert_to_iter_based=True,
    ),
]  # fmt: skip
small_scale_lr = dict(base_batch_size=64)
small_hooks = dict(logger=dict(interval=10), checkpoint=dict(interval=5))
