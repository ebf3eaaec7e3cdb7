import pytest

from mmlite.utils.names import misspelled, near_names


@pytest.mark.parametrize(
    ('name', 'meant'),
    [
        ('modle', 'model'),
        ('modl', 'model'),
        ('modelx', 'model'),
        ('mod', None),
        ('trian_dataloadr', 'train_dataloader'),
        ('train_loader', None),
        ('train_pipeline', None),
        ('val_cgf', 'val_cfg'),
        ('test_cfg', None),
    ],
)
def test_misspelled_allows_two_edits_in_long_names_only(name, meant):
    assert misspelled(name, ['model', 'train_dataloader', 'val_cfg']) == meant


def test_near_names_ignore_case():
    assert near_names('resnett', ['ResNet', 'ResNeXt', 'Swin'])[0] == 'ResNet'
    assert near_names('xyz', ['ResNet']) == []
