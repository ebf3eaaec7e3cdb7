import pytest

from mmlite.engine.config_file import load_config
from mmlite.errors import UserError


def write(folder, **files):
    for name, text in files.items():
        (folder / f'{name}.py').write_text(text)
    return folder / f'{next(iter(files))}.py'


def test_bases_and_options_are_merged(tmp_path):
    path = write(tmp_path, leaf="_base_ = './root.py'\na = dict(y=2)", root='a = dict(x=1, y=1)')
    cfg = load_config(path, {'a.x': 5, 'b': [1]})
    assert cfg.a == dict(x=5, y=2)
    assert cfg.b == [1]


@pytest.mark.parametrize(
    ('files', 'message'),
    [
        (dict(leaf='a = dict(x=1\n'), r"leaf\.py, line 1: '\(' was never closed"),
        (dict(leaf="_base_ = 'gone.py'"), r'_base_ of .*leaf\.py not found: .*gone\.py'),
        (
            dict(leaf="_base_ = ['./schedulle.py']", schedule='a = 1'),
            r'_base_ of .*leaf\.py not found: .*; near names: .*schedule\.py',
        ),
        (dict(leaf="_base_ = './root.py'", root='x = = 1'), r'root\.py, line 1: invalid syntax'),
        (dict(leaf="_base_ = './root.py'", root='\n\nx = y'), r'root\.py, line 3: NameError'),
        (
            dict(leaf="_base_ = ['a.py', 'b.py']", a='x = 1', b='x = 2'),
            r'leaf\.py: KeyError: Duplicate key .*x',
        ),
        (
            dict(leaf="custom_imports = dict(imports=['no_such_module'])"),
            r'leaf\.py: ImportError: Failed to import',
        ),
        (dict(leaf="_base_ = 'mmdet::no/such.py'"), r'leaf\.py: .*no/such\.py'),
    ],
    ids=['syntax', 'base', 'near base', 'base syntax', 'name', 'duplicate', 'import', 'package'],
)
def test_what_is_wrong_with_a_file_is_one_sentence(files, message, tmp_path):
    with pytest.raises(UserError, match=message) as error:
        load_config(write(tmp_path, **files))
    assert '\n' not in str(error.value)


def test_a_missing_file_is_answered_with_near_names(tmp_path):
    (tmp_path / 'det').mkdir()
    (tmp_path / 'seg').mkdir()
    write(tmp_path / 'det', mask_rcnn_vit='a = 1', other='a = 1')
    with pytest.raises(UserError, match=r'config not found: .*near names: .*mask_rcnn_vit\.py$'):
        load_config(tmp_path / 'det' / 'mask-rcnn_vit.py')
    with pytest.raises(UserError, match=r'near names: .*det/mask_rcnn_vit\.py$'):
        load_config(tmp_path / 'seg' / 'mask_rcnn_vit.py')
    with pytest.raises(UserError, match=r'config is a folder: .*det; name a file in it$'):
        load_config(tmp_path / 'det')


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / 'a.txt').write_text('a = 1')
    with pytest.raises(UserError, match=r'must end in one of \.py'):
        load_config(tmp_path / 'a.txt')
    (tmp_path / 'a.json').write_text('{')
    with pytest.raises(UserError, match=r'a\.json is no valid JSON'):
        load_config(tmp_path / 'a.json')


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'steps.5.type': 'X'}, r'--cfg-options steps\.5\.type=X .*exceeds the length'),
        ({'lr.x': 1}, r'--cfg-options lr\.x=1 does not fit'),
    ],
)
def test_options_that_do_not_fit_are_named(options, message, tmp_path):
    path = write(tmp_path, leaf="steps = [dict(type='A')]\nlr = 0.1")
    with pytest.raises(UserError, match=message) as error:
        load_config(path, options)
    assert '\n' not in str(error.value)
