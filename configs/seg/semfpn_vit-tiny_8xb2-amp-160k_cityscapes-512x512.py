"""Another data set by inheritance: Cityscapes, 19 classes, crops of 512 from 2048 x 1024 pixels."""

_base_ = './semfpn_vit-tiny_8xb2-amp-160k_ade20k-512x512.py'
model = dict(decode_head=dict(num_classes=19))
city = dict(type='CityscapesDataset', data_root='data/cityscapes/')
train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline
train_pipeline[2].scale = test_pipeline[1].scale = (2048, 1024)
train_prefix = dict(img_path='leftImg8bit/train', seg_map_path='gtFine/train')
val_prefix = dict(img_path='leftImg8bit/val', seg_map_path='gtFine/val')
train_set = dict(city, data_prefix=train_prefix, pipeline=train_pipeline)
train_dataloader = dict(dataset=train_set)
val_dataloader = dict(dataset=dict(city, data_prefix=val_prefix, pipeline=test_pipeline))
test_dataloader = val_dataloader
