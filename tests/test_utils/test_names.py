import pytest

from mmlite.utils.names import misspelled, near_names, within


@pytest.mark.parametrize(
    ('a', 'b', 'edits'),
    [
        ('same', 'same', 0),
        ('model', 'modle', 1),
        ('depth', 'deph', 1),
        ('kitten', 'sitting', 3),
        ('', 'abc', 3),
        ('ca', 'abc', 3),  # a letter is not edited twice
    ],
)
def test_within(a, b, edits):
    for pair in ((a, b), (b, a)):
        assert within(edits, *pair) and not within(edits - 1, *pair) or not edits


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
