"""Stanford Cars: 8,144 images for training, 8,041 for testing."""

_base_ = './crops_224px.py'
cars = dict(type='StanfordCars', data_root='data/Stanford_Cars/')
train_dataloader = dict(dataset=dict(cars, split='train'))
val_dataloader = dict(dataset=dict(cars, split='test'))
test_dataloader = val_dataloader
