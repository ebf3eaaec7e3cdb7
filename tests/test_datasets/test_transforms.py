"""Loading names bad images, and skips and counts them in training if asked to."""

import copy

import cv2
import numpy as np
import pytest
from mmcv.transforms import LoadImageFromFile as StockLoadImageFromFile
from mmengine.dataset import BaseDataset, RepeatDataset
from torch.utils.data import DataLoader

from mmlite.datasets import LoadImageFromFile
from mmlite.datasets.transforms import SkipLog, skipping_transforms
from mmlite.errors import DataError

IMAGE = cv2.resize(
    np.random.default_rng(0).integers(0, 255, (12, 16, 3), dtype=np.uint8), (160, 120)
)


def write(folder, name='a.jpg', keep=1.0, tail=b''):
    content = cv2.imencode(name[-4:], IMAGE)[1].tobytes()
    file = folder / name
    file.write_bytes(content[: int(keep * len(content))] + tail)
    return str(file)


@pytest.mark.parametrize('name', ['a.jpg', 'a.png', 'a.bmp'])
def test_sound_images_load_as_mmcv_loads_them(name, tmp_path):
    path = write(tmp_path, name)
    ours, stock = (
        cls(to_float32=True)(dict(img_path=path))
        for cls in (LoadImageFromFile, StockLoadImageFromFile)
    )
    np.testing.assert_array_equal(ours.pop('img'), stock.pop('img'))
    assert ours == stock


@pytest.mark.parametrize('tail', [b'\0' * 9, b'appended by a camera \xff\x00', b'\xff\xda\xff\xd9'])
def test_data_behind_the_end_of_a_jpeg_are_fine(tail, tmp_path):
    path = write(tmp_path, tail=tail)
    assert LoadImageFromFile()(dict(img_path=path))['img'].shape == (120, 160, 3)


def test_a_thumbnail_does_not_hide_a_truncation(tmp_path):
    thumbnail = b'\xff\xd8 \xff\xda \xff\xd9'
    content = cv2.imencode('.jpg', IMAGE)[1].tobytes()
    header = b'\xff\xe1' + (len(thumbnail) + 2).to_bytes(2, 'big') + thumbnail
    file = tmp_path / 'a.jpg'
    file.write_bytes(content[:2] + header + content[2:])
    load = LoadImageFromFile()
    assert load(dict(img_path=str(file)))['img'].shape == (120, 160, 3)
    file.write_bytes(content[:2] + header + content[2:-2])
    with pytest.raises(DataError, match='the JPEG is truncated'):
        load(dict(img_path=str(file)))


@pytest.mark.parametrize(
    ('name', 'keep', 'reason'),
    [
        ('a.jpg', 0.99, r'the JPEG is truncated \(no end-of-image marker\)'),
        ('a.jpg', 0.1, 'the JPEG is truncated'),
        ('a.png', 0.95, r'the PNG is truncated \(no IEND chunk\)'),
        ('a.bmp', 0.9, 'it is no image that can be decoded'),
        ('a.jpg', 0, 'the file is empty'),
        (None, 0, 'FileNotFoundError: '),
    ],
)
def test_bad_images_are_named(name, keep, reason, tmp_path):
    path = write(tmp_path, name, keep) if name else str(tmp_path / 'gone.png')
    with pytest.raises(DataError, match=rf'^image {path} cannot be read: {reason}'):
        LoadImageFromFile()(dict(img_path=path))


def test_on_error_is_checked():
    with pytest.raises(ValueError, match="'raise' or 'skip', got 'ignore'"):
        LoadImageFromFile(on_error='ignore')
    assert "on_error='skip')" in repr(LoadImageFromFile(on_error='skip'))


def test_skipping_gives_up_when_nothing_can_be_read(tmp_path):
    good, bad = write(tmp_path), str(tmp_path / 'gone.jpg')
    load = LoadImageFromFile(on_error='skip', max_in_a_row=3)
    for _ in range(2):
        for path in (bad, bad, good):
            assert (load(dict(img_path=path)) is None) == (path == bad)
    assert load(dict(img_path=bad)) is load(dict(img_path=bad)) is None
    with pytest.raises(DataError, match=r'gone\.jpg'):
        load(dict(img_path=bad))
    assert load.skipped == 6


class Pictures(BaseDataset):
    def load_data_list(self):
        return [dict(img_path=path) for path in self.metainfo['paths']]


def pictures(folder, **options):
    paths = [write(folder, f'{i}.png', keep=1 - (i in (1, 4))) for i in range(6)]
    load = LoadImageFromFile(on_error='skip')
    return Pictures(metainfo=dict(paths=paths), pipeline=[load], serialize_data=False), load


def test_bad_images_are_drawn_again_and_logged_once(tmp_path, monkeypatch):
    logged = []
    monkeypatch.setattr(
        'mmlite.datasets.transforms.print_log', lambda message, **_: logged.append(message)
    )
    dataset, load = pictures(tmp_path)
    for _ in range(3):
        assert all(dataset[i]['img'].shape == (120, 160, 3) for i in range(6))
    assert load.skipped >= 6
    assert [line.split(' cannot')[0] for line in sorted(logged)] == [
        f'Skipped: image {tmp_path}/{i}.png' for i in (1, 4)
    ]


def test_workers_count_together(tmp_path):
    dataset, load = pictures(tmp_path)
    loader = DataLoader(dataset, batch_size=1, num_workers=2, collate_fn=lambda items: len(items))
    assert sum(loader) == 6
    first = load.skipped
    assert first >= 2
    assert sum(loader) == 6  # new processes
    assert load.skipped >= first + 2


def test_skip_log_tells_files_apart_as_far_as_it_can():
    log = SkipLog(capacity=2)
    assert [log.add(name) for name in 'aabbacc'] == [True, False, True, False, False, True, True]
    assert log.count == 7
    assert copy.deepcopy(log) is log


def test_skipping_transforms_are_found_in_wrappers(tmp_path):
    dataset, load = pictures(tmp_path)
    assert list(skipping_transforms(RepeatDataset(dataset, times=2))) == [load]
    assert list(skipping_transforms(dataset.get_subset([1, 2])))[0]._log is load._log
    plain = Pictures(metainfo=dict(paths=['x']), pipeline=[LoadImageFromFile()])
    assert list(skipping_transforms(plain)) == []
