import json

import pytest

from mmlite.engine.logs import curve, find_logs, read_records, train_time
from mmlite.errors import DataError, UserError

RECORDS = [
    dict(lr=0.1, loss=3.0, time=0.5, epoch=1, iter=1, step=1),
    dict(lr=0.1, loss=2.0, time=0.7, epoch=1, iter=2, step=2),
    {'coco/bbox_mAP': 0.25, 'time': 9.0, 'step': 1},
    dict(lr=0.1, loss=1.0, time=0.2, epoch=2, iter=3, step=3),
]


def write(folder, records, end='\n'):
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / 'scalars.json'
    file.write_text('\n'.join(map(json.dumps, records)) + end)
    return file


def test_curves_and_times(tmp_path):
    file = write(tmp_path, RECORDS)
    records = read_records(file)
    assert records == RECORDS
    assert curve(records, 'loss', file) == ([1, 2, 3], [3.0, 2.0, 1.0])
    assert curve(records, 'coco/bbox_mAP', file) == ([1], [0.25])
    assert train_time(records, file) == {1: pytest.approx(0.6), 2: 0.2}


def test_a_line_that_is_being_written_is_left_out(tmp_path):
    assert read_records(write(tmp_path, RECORDS[:2], end='\n{"lr": 0.')) == RECORDS[:2]


def test_the_runs_of_a_work_dir_are_in_order(tmp_path):
    first = write(tmp_path / '20250101_000000' / 'vis_data', RECORDS)
    last = write(tmp_path / '20250102_000000' / 'vis_data', RECORDS)
    assert find_logs(tmp_path) == [first, last]
    assert find_logs(last) == [last]


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(DataError, match=r'gone does not exist: give a work directory'):
        find_logs(tmp_path / 'gone')
    with pytest.raises(DataError, match=r'holds no log: .*scalars\.json'):
        find_logs(tmp_path)
    with pytest.raises(UserError, match=r"no key 'losss'; it has coco/.*; near names: loss$"):
        curve(RECORDS, 'losss', 'x.json')
    with pytest.raises(UserError, match='x.json has no training step'):
        train_time(RECORDS[2:3], 'x.json')
    with pytest.raises(DataError, match=r'scalars\.json, line 2 is not valid JSON'):
        read_records(write(tmp_path, RECORDS[:1], end='\n{\n'))
    with pytest.raises(DataError, match='holds no record'):
        read_records(write(tmp_path, [], end=''))
