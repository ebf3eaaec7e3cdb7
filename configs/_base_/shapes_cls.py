"""Settings that shrink a classification recipe to generated images and minutes on two CPU cores.

Twelve classes, which differ by outline, texture and hue. Images of 128 pixels are cropped to 96,
so that textures keep the scale that they have in pre-training. A config under configs/shapes/cls
inherits from its full recipe and from here, and takes these variables.
"""

make_data = (
    'python tools/dataset_converters/make_shapes.py --tasks cls --out data/shapes-cls '
    '--train 1920 --val 480 --size 128 --classes 12 --class-colors'
)
small_size = 96
small_classes = 12
small_model = dict(backbone=dict(img_size=small_size), head=dict(num_classes=small_classes))
small_crop = dict(scale=small_size, crop_ratio_range=(0.35, 1.0))
small_resize = dict(scale=110)  # 96 is 0.875 of it
small_center = dict(crop_size=small_size)
small_loader = dict(batch_size=64, num_workers=1, pin_memory=False)
small_set = dict(
    _delete_=True,
    type='CustomDataset',
    data_root='data/shapes-cls/imagenet/',
)
small_evaluator = dict(topk=(1,))
small_epochs = 8
small_warm_up = 2
small_cfg = dict(max_epochs=small_epochs, val_interval=4)
small_scale_lr = dict(base_batch_size=64)
small_hooks = dict(logger=dict(interval=5), checkpoint=dict(interval=4, max_keep_ckpts=1))
