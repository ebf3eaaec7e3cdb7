"""Files are written whole or not at all; tables and progress read as people expect."""

import csv
import json
import os
import shutil
from collections import namedtuple

import pytest

from mmlite.errors import OutputError
from mmlite.utils import (
    Progress,
    append_csv,
    atomic_write,
    render_table,
    write_bytes,
    write_csv,
    write_json,
)


def test_a_block_that_raises_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / 'deep' / 'file'
    write_bytes(path, b'before')
    with pytest.raises(ZeroDivisionError), atomic_write(path) as file:
        file.write(b'half')
        file.write(1 / 0)
    assert path.read_bytes() == b'before'
    assert os.listdir(path.parent) == ['file']


@pytest.mark.parametrize(
    'make, expected',
    [
        (lambda p: p.mkdir(), 'Is a directory'),
        (lambda p: p.parent.rmdir() or p.parent.write_text(''), 'cannot write'),
    ],
)
def test_what_cannot_be_written_is_named(tmp_path, make, expected):
    path = tmp_path / 'out' / 'file.json'
    path.parent.mkdir()
    make(path)
    with pytest.raises(OutputError, match=expected) as error:
        write_json(path, {})
    assert str(path) in str(error.value)
    assert isinstance(error.value, OSError)


def test_a_full_disk_is_named_before_anything_is_written(tmp_path, monkeypatch):
    usage = namedtuple('usage', 'total used free')
    monkeypatch.setattr(shutil, 'disk_usage', lambda _: usage(10, 7, 3))
    with pytest.raises(OutputError, match='4 bytes needed, 3 free'):
        write_bytes(tmp_path / 'file', b'1234')
    assert not os.listdir(tmp_path)


def test_json_has_no_nan(tmp_path):
    write_json(tmp_path / 'a.json', {'a': [float('nan'), 1.5], 'b': float('inf'), 'c': 'ä'})
    text = (tmp_path / 'a.json').read_text()
    assert json.loads(text) == {'a': [None, 1.5], 'b': None, 'c': 'ä'} and 'ä' in text


def test_csv(tmp_path):
    write_csv(tmp_path / 'a.csv', [dict(x=1, y=None), dict(x='a,b', y=2)])
    rows = list(csv.reader((tmp_path / 'a.csv').open()))
    assert rows == [['x', 'y'], ['1', ''], ['a,b', '2']]
    append_csv(tmp_path / 'a.csv', dict(x=3, y=4))
    append_csv(tmp_path / 'new' / 'b.csv', dict(x=3))
    assert (tmp_path / 'a.csv').read_text().endswith('3,4\n')
    assert (tmp_path / 'new' / 'b.csv').read_text() == 'x\n3\n'
    with pytest.raises(OutputError, match='other columns: x, y'):
        append_csv(tmp_path / 'a.csv', dict(z=1))


def test_tables():
    rows = [('ViT [bold]', 5.5), ('Hiera', None)]
    assert render_table(['model', 'M'], rows, 'markdown').splitlines() == [
        '| model      |   M |',
        '|------------|-----|',
        '| ViT [bold] | 5.5 |',
        '| Hiera      |     |',
    ]
    assert 'ViT [bold]' in render_table(['model', 'M'], rows)


def test_progress_prints_a_line_a_tenth(capsys):
    assert list(Progress('read', 50, 'files').track(range(50))) == list(range(50))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert lines[0].startswith('read: 5/50 files, ') and lines[0].endswith(' left')
