"""Oxford Flowers-102: 2,040 images of train and val for training, 6,149 for testing."""

_base_ = './crops_224px.py'
flowers = dict(type='Flowers102', data_root='data/Flowers102/')
train_dataloader = dict(dataset=dict(flowers, split='trainval'))
val_dataloader = dict(dataset=dict(flowers, split='test'))
test_dataloader = val_dataloader
