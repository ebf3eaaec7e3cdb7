"""ImageNet-1K with labels, cropped and flipped.

Images lie in ``train/<class>/`` and ``val/<class>/``; ``ann_file`` may list a part of them, see
tools/dataset_converters/make_subset.py.
"""

_base_ = './crops_224px.py'
data_root = 'data/imagenet/'
train_dataloader = dict(dataset=dict(type='ImageNet', data_root=data_root, split='train'))
val_dataloader = dict(dataset=dict(type='ImageNet', data_root=data_root, split='val'))
test_dataloader = val_dataloader
