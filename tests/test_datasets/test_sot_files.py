"""What tracking data sets are read from: zip archives, videos, and the index that is kept."""

import json
import os
import pickle
import zipfile

import cv2
import numpy as np
import pytest
from tiny_sequences import (
    SHAPE,
    level,
    pack,
    write_boxes,
    write_frames,
    write_got10k,
    write_lasot,
    write_lines,
    write_trackingnet,
)
from torch.utils.data import DataLoader

from mmlite.datasets import (
    FrameFolderDataset,
    GOT10kDataset,
    LaSOTDataset,
    OTB100Dataset,
    TrackingNetDataset,
)
from mmlite.datasets.sot import base, index
from mmlite.datasets.sot.frames import FrameNames, VideoFrames, sort_frames
from mmlite.errors import DataError


def everything(dataset):
    """All that a data set gives, as plain values."""
    return [
        (s.name, s.boxes.tolist(), s.visible.tolist(), [s.frames.read(i).tolist() for i in (0, 5)])
        for s in dataset
    ]


@pytest.mark.parametrize('around', [False, True], ids=['its files', 'the folder'])
@pytest.mark.parametrize('what', ['cat', 'cat/cat-2', 'dog/dog-1/img'])
def test_archive_in_place_of_a_folder(tmp_path, what, around):
    for name in ('cat-1', 'cat-2', 'dog-1'):
        write_lasot(tmp_path, name)
    expected = everything(LaSOTDataset(tmp_path, 'all'))
    archive = pack(tmp_path / what, around)
    dataset = LaSOTDataset(tmp_path, 'all')
    assert everything(dataset) == expected
    packed = [s.frames.where(0) for s in dataset if s.frames.where(0).startswith(str(archive))]
    assert len(packed) == 1 + (what == 'cat')
    assert packed[-1].endswith('00000001.jpg')


def test_archives_of_a_split_with_its_list_and_of_single_videos(tmp_path):
    expected = everything(GOT10kDataset(write_got10k(tmp_path, ['a', 'b']).parent))
    pack(tmp_path / 'val')
    assert everything(GOT10kDataset(tmp_path)) == expected
    write_trackingnet(tmp_path, 'TEST', ['x', 'y'])
    folder = (tmp_path / 'TEST/frames').rename(tmp_path / 'TEST/zips')
    for video in 'xy':
        pack(folder / video)
    dataset = TrackingNetDataset(tmp_path)
    assert dataset.lengths.tolist() == [12, 12]
    assert dataset[1].frames.where(10).endswith('TEST/zips/y.zip/10.jpg')
    np.testing.assert_allclose(dataset[1].frames.read(10), level(10), atol=2)


def test_archive_is_read_by_worker_processes(tmp_path):
    """Forked workers must not share the parent's position in the file."""
    folder = tmp_path / 'cat'
    write_frames(folder, range(60), '{}.png')
    write_boxes(folder / 'groundtruth.txt', 60)
    pack(folder)
    frames = FrameFolderDataset(tmp_path)[0].frames
    frames.read(0)  # opens the archive before the workers start

    def means(numbers):
        return [int(frames.read(number).mean()) for number in numbers]

    loader = DataLoader(range(60), batch_size=5, num_workers=2, collate_fn=means)
    assert sum(loader, []) == [level(i) for i in range(60)]


@pytest.mark.parametrize('name', ['../../evil', '/evil', 'a/../../evil', '..\\evil', 'C:evil'])
def test_list_that_leaves_its_folder_is_refused(tmp_path, name):
    """Results are written under the names of sequences."""
    write_lines(write_got10k(tmp_path, ['a', 'b']) / 'list.txt', ['a', name])
    with pytest.raises(DataError, match=r'list.txt, line 2: .*evil.* leaves the directory'):
        GOT10kDataset(tmp_path)


def test_damaged_archives(tmp_path):
    write_frames(tmp_path / 'cat', [1, 2])
    write_boxes(tmp_path / 'cat' / 'groundtruth.txt', 2)
    file = pack(tmp_path / 'cat')
    with zipfile.ZipFile(file) as archive:
        start = archive.getinfo('00000002.jpg').header_offset + 60
    content = bytearray(file.read_bytes())
    content[start : start + 20] = bytes(20)
    file.write_bytes(content)
    frames = FrameFolderDataset(tmp_path)[0].frames
    assert frames.read(0).shape == SHAPE
    with pytest.raises(DataError, match=r'cat.zip/00000002.jpg cannot be read: Bad CRC-32'):
        frames.read(1)
    file.write_bytes(b'no archive')
    with pytest.raises(DataError, match=r'archive .*cat.zip cannot be read: File is not a zip'):
        FrameFolderDataset(tmp_path)


@pytest.fixture
def video(tmp_path):
    """A folder with a video of 100 frames that tell their number."""
    file = tmp_path / 'cat' / 'cat.avi'
    file.parent.mkdir()
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter_fourcc(*'MJPG'), 10, (64, 48))
    assert writer.isOpened()
    for number in range(100):
        writer.write(np.full((48, 64, 3), 2 * number, np.uint8))
    writer.release()
    write_boxes(file.parent / 'groundtruth.txt', 100)
    return file


def test_video_in_any_order(video):
    sequence = FrameFolderDataset(video.parent.parent)[0]
    assert len(sequence) == 100 and sequence.annotated
    copy = pickle.loads(pickle.dumps(sequence.frames))
    for frames in (sequence.frames, copy):
        for number in (0, 1, 2, 3, 10, 9, 99, 0, 80, 5, 5, 6):
            image = frames.read(number)
            assert image.shape == (48, 64, 3)
            np.testing.assert_allclose(image, 2 * number, atol=3)
    assert sequence.frames.where(7) == f'{video}, frame 7'
    with pytest.raises(IndexError):
        sequence.frames.read(100)
    write_boxes(video.parent / 'groundtruth.txt', 101)
    with pytest.raises(DataError, match=r'has 101 boxes for the 100 frames of .*cat.avi'):
        FrameFolderDataset(video.parent.parent)[0]
    (video.parent / 'other.mp4').touch()
    with pytest.raises(DataError, match=r"sequence '.*cat' has 2 videos"):
        FrameFolderDataset(video.parent.parent)


class OddVideo:
    """A decoder of a video whose first 20 frames last ``stretch`` times as long; seeks miss."""

    stretch = 1

    def __init__(self, path, open_video=cv2.VideoCapture):
        self._video, self._next = open_video(path), 0

    def __getattr__(self, name):
        return getattr(self._video, name)

    def grab(self):
        self._next += 1
        return self._video.grab()

    def read(self):
        return self.grab(), self._video.retrieve()[1]

    def get(self, what):
        if what == cv2.CAP_PROP_POS_MSEC:
            shown = self._next - 1
            return 100.0 * (shown + (self.stretch - 1) * min(shown, 20))
        return self._video.get(what)

    def set(self, what, index):
        self._next = max(index - 2, 0)
        return self._video.set(what, self._next)


@pytest.mark.parametrize('stretch', [1, 2])
def test_every_frame_is_found_where_seeking_misses(stretch, video, monkeypatch):
    monkeypatch.setattr(cv2, 'VideoCapture', OddVideo)
    monkeypatch.setattr(OddVideo, 'stretch', stretch)
    for _ in range(2):  # the second time from the index
        frames = FrameFolderDataset(video.parent.parent)[0].frames
        assert frames.seekable == (stretch == 1)
        for number in (90, 3, 99, 15, 15):
            np.testing.assert_allclose(frames.read(number), 2 * number, atol=3)


@pytest.mark.parametrize('content', [None, b'', b'no video at all'])
def test_no_video(tmp_path, video, content):
    file = tmp_path / 'x.mp4'
    if content is not None:
        file.write_bytes(content)
    problem = 'missing' if content is None else 'not a video that OpenCV can read'
    with pytest.raises(DataError, match=f'x.mp4 is {problem}'):
        VideoFrames(file)
    frames = VideoFrames(video, count=120)  # as a header may say
    with pytest.raises(DataError, match=r'cat.avi, frame 110 cannot be decoded'):
        frames.read(110)
    np.testing.assert_allclose(frames.read(50), 100, atol=3)


@pytest.mark.parametrize(('names', 'listed'), [
    ([f'{i}.jpg' for i in range(12)], False),
    ([f'img_{i:03d}.PNG' for i in range(95, 105)], False),
    ([f'{i:03d}.jpg' for i in range(998, 1003)], False),
    (['1.jpg', '3.jpg'], True), (['1.jpg', '2.png'], True), (['01.jpg', '2.jpg'], True),
])  # fmt: skip
def test_names_of_frames(names, listed):
    assert sort_frames([*reversed(names), 'notes.txt'], 'there')[0] == names
    short = FrameNames.of(names)
    assert [short[i] for i in range(len(short))] == names
    assert bool(short.listed) == listed


@pytest.fixture
def looked_up(monkeypatch):
    """Names of the sequences whose frames were looked for."""
    names = []
    real = index.look_up

    def look_up(tree, entry):
        names.append(entry.name)
        return real(tree, entry)

    monkeypatch.setattr(index, 'look_up', look_up)
    return names


def lasot(root, split='all', **options):
    return LaSOTDataset(root, split, **options)


def test_index_is_kept_and_needs_no_annotation(tmp_path, looked_up, monkeypatch):
    monkeypatch.setattr(base, 'read_boxes', None)
    for name in ('cat-1', 'dog-3'):
        write_lasot(tmp_path, name)
    first = lasot(tmp_path)
    assert sorted(looked_up) == ['cat-1', 'dog-3']
    again = lasot(tmp_path)
    assert len(looked_up) == 2
    assert again.names == first.names and again.lengths.tolist() == [6, 6]
    assert os.listdir(tmp_path / '.mmlite') == ['lasot-all.json']
    moved = tmp_path.rename(tmp_path.with_name('moved'))
    assert lasot(moved).names == first.names and len(looked_up) == 2
    monkeypatch.setattr(index, 'VERSION', index.VERSION + 1)
    lasot(moved)
    assert len(looked_up) == 4


def test_splits_and_options_have_their_own_index(tmp_path):
    for name in ('cat-1', 'cat-2', 'cat-3'):
        write_lasot(tmp_path, name)
    write_lines(tmp_path / 'training_set.txt', ['cat-1'])
    write_lines(tmp_path / 'testing_set.txt', ['cat-2'])
    chosen = write_lines(tmp_path / 'mine.txt', ['cat-3', 'cat-1'])
    for _ in range(2):
        assert lasot(tmp_path, 'train').names == ['cat-1']
        assert lasot(tmp_path, 'test').names == ['cat-2']
        assert lasot(tmp_path, 'test', list_file=chosen).names == ['cat-3', 'cat-1']
    assert len(os.listdir(tmp_path / '.mmlite')) == 3


def test_index_is_built_anew_when_a_list_a_top_folder_or_boxes_that_count_change(tmp_path):
    for names in (['cat-1'], ['cat-1', 'cat-2']):
        for name in names:
            write_lasot(tmp_path / 'listed', name)
        write_lines(tmp_path / 'listed' / 'testing_set.txt', names)
        assert lasot(tmp_path / 'listed', 'test').names == names
    names = []
    for name in ('cat-1', 'cat-2', 'dog-1'):
        write_lasot(tmp_path / 'all', name)
        names.append(name)
        assert lasot(tmp_path / 'all').names == names
    pack(tmp_path / 'all' / 'cat' / 'cat-2').unlink()
    assert lasot(tmp_path / 'all').names == ['cat-1', 'dog-1']
    for count in (5, 6):
        packed = pack(write_lasot(tmp_path / 'packed', 'cat-1', count).parent)
        chosen = write_lines(tmp_path / 'chosen.txt', ['cat-1'])
        os.utime(chosen, (1, 1))
        assert lasot(tmp_path / 'packed', list_file=chosen).lengths.tolist() == [count]
        packed.unlink()
    write_frames(tmp_path / 'otb' / 'Car' / 'img', range(1, 9))
    for count in (5, 7):
        write_boxes(tmp_path / 'otb' / 'Car' / 'groundtruth_rect.txt', count)
        assert len(OTB100Dataset(tmp_path / 'otb')[0]) == count


@pytest.mark.parametrize('inner', ['', 'img'])
def test_frames_added_to_a_sequence_need_rebuild_index_but_for_own_data(tmp_path, inner):
    folder = write_lasot(tmp_path, 'cat-1')
    assert lasot(tmp_path).lengths.tolist() == [6]
    write_frames(folder / 'img', [7])
    assert lasot(tmp_path).lengths.tolist() == [6]  # as documented
    assert lasot(tmp_path, rebuild_index=True).lengths.tolist() == [7]
    assert lasot(tmp_path).lengths.tolist() == [7]
    for count in (3, 4):
        write_frames(tmp_path / 'own' / 'cat' / inner, range(count))
        assert FrameFolderDataset(tmp_path / 'own').lengths.tolist() == [count]


def test_sequences_with_a_fault_are_looked_at_again(tmp_path, looked_up):
    for name in ('cat-1', 'cat-2'):
        folder = write_lasot(tmp_path, name)
    (folder / 'img' / '00000003.jpg').unlink()
    assert list(lasot(tmp_path).faults) == list(lasot(tmp_path).faults) == ['cat-2']
    write_frames(folder / 'img', [3])
    assert not lasot(tmp_path).faults
    looked_up.clear()
    assert lasot(tmp_path).lengths.tolist() == [6, 6] and not looked_up


@pytest.mark.parametrize('spoil', [
    lambda text: text[: len(text) // 2],
    lambda text: '[]',
    lambda text: text.replace('"content"', '"other"'),
    lambda text: text.replace('[["cat-1", ', '[["cat-1", 1, 2, 3, '),
])  # fmt: skip
def test_spoilt_index_is_built_anew(tmp_path, spoil, capfd):
    write_lasot(tmp_path, 'cat-1')
    lasot(tmp_path)
    file = tmp_path / '.mmlite' / 'lasot-all.json'
    text = file.read_text()
    file.write_text(spoil(text))
    assert lasot(tmp_path).lengths.tolist() == [6]
    assert 'lasot-all.json is not an index' in ''.join(capfd.readouterr())
    assert file.read_text() == text


@pytest.mark.parametrize('writable', [True, False])
def test_a_cache_directory_is_the_place_of_the_index(tmp_path, monkeypatch, looked_up, writable):
    monkeypatch.setenv('MMLITE_CACHE', str(tmp_path / 'cache'))
    for root in ('one', 'two'):
        write_lasot(tmp_path / root, 'cat-1')
        if not writable:
            (tmp_path / root / '.mmlite').touch()  # no directory can be made there
        for _ in range(2):
            assert lasot(tmp_path / root).names == ['cat-1']
    assert looked_up == ['cat-1', 'cat-1']
    assert not list(tmp_path.glob('*/.mmlite/*'))
    files = sorted((tmp_path / 'cache').glob('index-*/lasot-all.json'))
    assert len(files) == 2 and all(json.loads(file.read_text())['content'] for file in files)
    if not writable:  # neither here nor there
        (tmp_path / 'file').touch()
        monkeypatch.setenv('MMLITE_CACHE', str(tmp_path / 'file'))
        for _ in range(2):
            assert lasot(tmp_path / 'one').lengths.tolist() == [6]
        assert len(looked_up) == 4
