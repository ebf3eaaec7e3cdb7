"""EoMT, ViT-Tiny, panoptic segmentation of COCO: 80 things and 53 stuff classes, else as the
instance segmentation."""

_base_ = './eomt_vit-tiny_8xb2-amp-12e_coco-640px.py'
num_classes = dict(num_things_classes=80, num_stuff_classes=53)
model = dict(
    data_preprocessor=dict(pad_seg=True, seg_pad_value=255),
    panoptic_head=num_classes,
    panoptic_fusion_head=num_classes,
    test_cfg=dict(panoptic_on=True),
)
annotations = dict(type='LoadPanopticAnnotations')
train_pipeline = _base_.train_pipeline
train_pipeline[1] = annotations
train_pipeline[3].update(backend='cv2')  # Pillow resizes no label maps of more than 256 ids
train_pipeline[5].update(by_mask=True, min_gt_mask_area=1)
test_pipeline = _base_.test_pipeline
test_pipeline[2] = annotations
data_root = 'data/coco/'
train_dataloader = dict(
    dataset=dict(
        type='CocoPanopticDataset',
        ann_file='annotations/panoptic_train2017.json',
        data_prefix=dict(seg='annotations/panoptic_train2017/'),
        filter_cfg=dict(filter_empty_gt=True, min_size=32),
        pipeline=train_pipeline,
    )
)
val_dataloader = dict(
    dataset=dict(
        type='CocoPanopticDataset',
        ann_file='annotations/panoptic_val2017.json',
        data_prefix=dict(seg='annotations/panoptic_val2017/'),
        pipeline=test_pipeline,
    )
)
test_dataloader = val_dataloader
val_evaluator = dict(
    _delete_=True,
    type='CocoPanopticMetric',
    ann_file=data_root + 'annotations/panoptic_val2017.json',
    seg_prefix=data_root + 'annotations/panoptic_val2017/',
)
test_evaluator = val_evaluator
