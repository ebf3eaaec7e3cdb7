"""iNaturalist 2018, to take the place of ImageNet: 437,513 images for training, 24,426 for
testing, 8,142 species."""

inat18_classes = 8142
inat18_train = dict(
    _delete_=True,
    type='mmlite.INaturalist',
    data_root='data/inaturalist2018/',
    ann_file='train2018.json',
)
inat18_val = dict(inat18_train, ann_file='val2018.json')
