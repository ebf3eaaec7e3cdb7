"""FGVC-Aircraft, 100 variants: 6,667 images of trainval for training, 3,333 for testing."""

_base_ = './crops_224px.py'
aircraft = dict(type='FGVCAircraft', data_root='data/fgvc-aircraft-2013b/')
train_dataloader = dict(dataset=dict(aircraft, split='trainval'))
val_dataloader = dict(dataset=dict(aircraft, split='test'))
test_dataloader = val_dataloader
