"""Oxford-IIIT Pets: 3,680 images of trainval for training, 3,669 for testing."""

_base_ = './crops_224px.py'
pets = dict(type='OxfordIIITPet', data_root='data/Oxford-IIIT_Pets/')
train_dataloader = dict(dataset=dict(pets, split='trainval'))
val_dataloader = dict(dataset=dict(pets, split='test'))
test_dataloader = val_dataloader
