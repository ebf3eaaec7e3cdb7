"""The ADE20K recipe shrunk to generated images of 192 pixels, crops of 128 and minutes on two CPU
cores. The classes are four backgrounds and four objects."""

_base_ = '../../seg/semfpn_vit-tiny_8xb2-amp-160k_ade20k-512x512.py'
make_data = (
    'python tools/dataset_converters/make_shapes.py --tasks seg --out data/shapes --train 600 '
    '--val 100 --size 192 --classes 4 --min-size 0.2 --max-objects 4 --class-colors'
)
classes = ('clouds', 'grass', 'water', 'bricks', 'disc', 'square', 'triangle', 'star')
palette = [
    [150, 190, 220], [110, 150, 80], [70, 120, 170], [160, 80, 65],
    [230, 40, 40], [40, 60, 230], [250, 200, 0], [200, 40, 200],
]  # fmt: skip
image_size = 192
image_scale = (image_size, image_size)
crop_size = (128, 128)
max_iters = 600

model = dict(
    data_preprocessor=dict(size=crop_size, test_cfg=dict(size=crop_size)),
    backbone=dict(img_size=128),
    decode_head=dict(num_classes=len(classes)),
    test_cfg=dict(crop_size=crop_size, stride=(85, 85)),
)

train_pipeline = _base_.train_pipeline
train_pipeline[2].update(scale=image_scale, ratio_range=(0.75, 1.5))
train_pipeline[3].update(crop_size=crop_size)
test_pipeline = _base_.test_pipeline
test_pipeline[1].update(scale=image_scale)
data_root = 'data/shapes/ade/'
small_set = dict(
    _delete_=True,
    type='BaseSegDataset',  # ADE20KDataset takes its own 150 classes only
    data_root=data_root,
    reduce_zero_label=True,
    metainfo=dict(classes=classes, palette=palette),
)
folder = 'ADEChallengeData2016/'
train_prefix = dict(
    img_path=folder + 'images/training', seg_map_path=folder + 'annotations/training'
)
val_prefix = dict(
    img_path=folder + 'images/validation', seg_map_path=folder + 'annotations/validation'
)
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    pin_memory=False,
    dataset=dict(small_set, data_prefix=train_prefix, pipeline=train_pipeline),
)
val_dataloader = dict(
    num_workers=1,
    pin_memory=False,
    dataset=dict(small_set, data_prefix=val_prefix, pipeline=test_pipeline),
)
test_dataloader = val_dataloader

train_cfg = dict(max_iters=max_iters, val_interval=300)
# without layer-wise decay: from random weights the lower blocks have as much to learn
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(lr=5e-4), paramwise_cfg=dict(layer_decay_rate=1.0)
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=50),
    dict(type='PolyLR', power=1.0, eta_min=0.0, by_epoch=False, begin=50, end=max_iters),
]
auto_scale_lr = dict(base_batch_size=8)
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(interval=300, max_keep_ckpts=2))
log_processor = dict(window_size=10)
