from mmlite.utils.names import misspelled, near_names


def test_misspelled_allows_two_edits_in_long_names_only():
    known = ['model', 'train_dataloader', 'val_cfg']
    assert misspelled('modle', known) == 'model'
    assert misspelled('trian_dataloadr', known) == 'train_dataloader'
    assert misspelled('mod', known) is None
    assert misspelled('model', known) is None
    assert misspelled('train_pipeline', known) is None
    assert misspelled('test_pipeline', ['tta_pipeline']) is None


def test_near_names_ignore_case():
    assert near_names('resnett', ['ResNet', 'ResNeXt', 'Swin'])[0] == 'ResNet'
    assert near_names('xyz', ['ResNet']) == []
