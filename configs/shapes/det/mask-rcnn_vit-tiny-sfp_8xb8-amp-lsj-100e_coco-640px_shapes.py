"""The COCO recipe shrunk to generated images of 192 pixels and minutes on two CPU cores."""

_base_ = '../../det/mask-rcnn_vit-tiny-sfp_8xb8-amp-lsj-100e_coco-640px.py'
make_data = (
    'python tools/dataset_converters/make_shapes.py --tasks det --out data/shapes --train 600 '
    '--val 100 --size 192 --classes 4 --min-size 0.2 --max-objects 4 --class-colors'
)
classes = ('disc', 'square', 'triangle', 'star')
image_size = 192
image_scale = (image_size, image_size)
channels = 64
max_iters = 600

model = dict(
    data_preprocessor=dict(pad_size_divisor=image_size),
    backbone=dict(img_size=image_size, window_size=6),
    neck=dict(out_channels=channels),
    rpn_head=dict(in_channels=channels, feat_channels=channels, anchor_generator=dict(scales=[6])),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=channels),
        bbox_head=dict(
            in_channels=channels,
            conv_out_channels=channels,
            fc_out_channels=256,
            num_classes=len(classes),
        ),
        mask_roi_extractor=dict(out_channels=channels),
        mask_head=dict(in_channels=channels, conv_out_channels=channels, num_classes=len(classes)),
    ),
    train_cfg=dict(
        rpn=dict(sampler=dict(num=128)),
        rpn_proposal=dict(nms_pre=300, max_per_img=100),
        rcnn=dict(sampler=dict(num=48)),
    ),
    test_cfg=dict(rpn=dict(nms_pre=300, max_per_img=100), rcnn=dict(max_per_img=20)),
)

train_pipeline = _base_.train_pipeline
train_pipeline[3].update(scale=image_scale, ratio_range=(1.0, 1.0))
train_pipeline[4].update(crop_size=image_scale)
test_pipeline = _base_.test_pipeline
test_pipeline[1].update(scale=image_scale)
data_root = 'data/shapes/coco/'
small_set = dict(data_root=data_root, metainfo=dict(classes=classes))
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    pin_memory=False,
    dataset=dict(pipeline=train_pipeline, **small_set),
)
val_dataloader = dict(
    num_workers=1, pin_memory=False, dataset=dict(pipeline=test_pipeline, **small_set)
)
test_dataloader = val_dataloader
val_evaluator = dict(classwise=True, ann_file=data_root + 'annotations/instances_val2017.json')
test_evaluator = val_evaluator

train_cfg = dict(max_iters=max_iters, val_interval=300)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(lr=3e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=50),
    dict(
        type='CosineAnnealingLR', by_epoch=False, begin=50, end=max_iters, eta_min_ratio=0.01,
    ),
]  # fmt: skip
auto_scale_lr = dict(base_batch_size=4)
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(interval=300, max_keep_ckpts=2))
log_processor = dict(window_size=10)
custom_hooks = _base_.custom_hooks[:1]  # gradients stay in full precision
