"""Tracking data sets that are wrong: one clear sentence, and only the sequence at fault is lost."""

import pytest
from tiny_sequences import SHAPE, write_frames, write_lasot, write_lines, write_otb

from mmlite.datasets import LaSOTDataset, OTB100Dataset, sot
from mmlite.datasets.sot.base import SequenceDataset
from mmlite.errors import ArgumentError, DataError
from mmlite.evaluation.sot.protocols import PROTOCOLS
from mmlite.registry import DATASETS


def lasot_of(**changes):
    """What makes a data set of one LaSOT sequence, with text files replaced."""

    def make(root):
        folder = write_lasot(root, 'cat-1')
        for file, lines in changes.items():
            write_lines(folder / f'{file}.txt', lines)
        return LaSOTDataset(root, 'all')

    return make


GOOD = ['1,2,3,4'] * 6
CLASSES = [getattr(sot, name) for name in sot.__all__]
SETS = [kind for kind in CLASSES if issubclass(kind, SequenceDataset)]


@pytest.mark.parametrize(('make', 'message'), [
    (lasot_of(groundtruth=GOOD[:4]), r'groundtruth.txt has 4 boxes for the 6 frames of .*img'),
    (lasot_of(groundtruth=[*GOOD[:2], '1,2,x,4', *GOOD[3:]]), "line 3: '1,2,x,4' is not 4 numbers"),
    (lasot_of(groundtruth=[*GOOD[:3], '', *GOOD[3:]]), r"line 4: '' is not 4 numbers"),
    (lasot_of(groundtruth=[*GOOD[:5], 'nan,nan,nan,nan']), r'txt, line 6: .*nan.* not finite'),
    (lasot_of(groundtruth=['']), r'groundtruth.txt is empty'),
    (lasot_of(full_occlusion=['0,0,0']), r'full_occlusion.txt has 3 labels for 6 boxes'),
    (lasot_of(out_of_view=['0,0,0', '0,2,0']), "line 2: '0,2,0' are not integers from 0 to 1"),
])  # fmt: skip
def test_bad_annotation(tmp_path, make, message):
    dataset = make(tmp_path)
    with pytest.raises(DataError, match=message):
        dataset[0]


def test_missing_annotation(tmp_path):
    folder = write_lasot(tmp_path, 'cat-1')
    (folder / 'groundtruth.txt').write_bytes(b'1,2,3,\x804')
    with pytest.raises(DataError, match=r'groundtruth.txt is not a text file'):
        LaSOTDataset(tmp_path, 'all')[0]
    (folder / 'groundtruth.txt').unlink()
    with pytest.raises(DataError, match='cat-1/groundtruth.txt is missing'):
        LaSOTDataset(tmp_path, 'all')[0]


def test_byte_order_mark_and_windows_lines(tmp_path):
    folder = write_lasot(tmp_path, 'cat-1', 2)
    (folder / 'groundtruth.txt').write_bytes(b'\xef\xbb\xbf1,2,3,4\r\n5,6,7,8\r\n\r\n')
    assert LaSOTDataset(tmp_path, 'all')[0].boxes.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]


@pytest.mark.parametrize(('spoil', 'message'), [
    (lambda img: (img / '00000003.jpg').unlink(), r'has no frame 3 of 1 to 6'),
    (lambda img: [file.unlink() for file in img.iterdir()], r"cat-1/img' has no frames \(.jpg, "),
    (lambda img: img.rename(img.with_name('images')), r"directory '.*cat-1/img' is missing"),
    (lambda img: write_frames(img, [3], '{}.jpg'), 'frames of number 3: 00000003.jpg and 3.jpg'),
    (lambda img: write_frames(img, [3], '{}th.jpg'), r"img/3th.jpg' has no number at the end"),
])  # fmt: skip
def test_missing_frames(tmp_path, spoil, message, capfd):
    """The sequence is at fault, and only it."""
    write_lasot(tmp_path, 'cat-2')
    spoil(write_lasot(tmp_path, 'cat-1') / 'img')
    dataset = LaSOTDataset(tmp_path, 'all')
    assert dataset.lengths.tolist() == [0, 6] and len(dataset[1]) == 6
    assert list(dataset.faults) == ['cat-1']
    assert '1 of 2 sequences of lasot (all) cannot be used; the first:' in capfd.readouterr().out
    with pytest.raises(DataError, match=message):
        dataset[0]


def test_frames_fewer_than_the_boxes_of_a_range(tmp_path):
    write_otb(tmp_path, 'David', range(1, 500), 471)
    write_otb(tmp_path, 'Car', range(1, 4), 5)
    with pytest.raises(DataError, match=r"Car/img' has 3 frames for the 5 boxes of"):
        OTB100Dataset(tmp_path)
    write_otb(tmp_path, 'Zebra', range(1, 6), 5)
    dataset = OTB100Dataset(tmp_path)
    with pytest.raises(DataError, match=r"David/img' has no frame 500 of 300 to 770"):
        dataset[1]


@pytest.mark.parametrize(('content', 'message'), [
    (b'', r'image .*00000003.jpg cannot be read: the file is empty'),
    (b'\x89PNG no picture IEND', r'cannot be read: it is not an image that can be decoded'),
    (b'\xff\xd8\xff\xe0 begin', r'cannot be read: the JPEG is truncated'),
    (None, r'00000003.jpg is missing'),
])  # fmt: skip
def test_unreadable_frame(tmp_path, content, message):
    file = write_lasot(tmp_path, 'cat-1') / 'img' / '00000003.jpg'
    sequence = LaSOTDataset(tmp_path, 'all')[0]
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DataError, match=message):
        sequence.frames.read(2)
    assert sequence.frames.read(1).shape == SHAPE
    with pytest.raises(IndexError):
        sequence.frames.read(6)


@pytest.mark.parametrize('build', SETS)
def test_every_data_set(tmp_path, build):
    """Registered, has a known protocol, and says what is missing."""
    assert DATASETS.get(f'mmlite.{build.__name__}') is build
    assert build.protocol in PROTOCOLS
    with pytest.raises(DataError, match=r"data_root '.*nowhere' does not exist"):
        build(str(tmp_path / 'nowhere'))
    with pytest.raises(ArgumentError, match=f"{build.__name__}: split 'Tset' is unknown"):
        build(str(tmp_path), split='Tset')
    with pytest.raises(DataError, match='tmp|list|anno'):
        build(str(tmp_path))


@pytest.mark.parametrize(('lines', 'message'), [
    ([''], r'testing_set.txt is empty: it must name'),
    (['cat-1', 'cat-2', 'cat-1'], r"testing_set.txt, line 3: 'cat-1' is on line 1 already"),
    (None, r'has no testing_set.txt: copy it from .* or set list_file'),
    (['dog-7'], r"directory '.*dog/dog-7/img' is missing"),
])  # fmt: skip
def test_bad_list(tmp_path, lines, message):
    write_lasot(tmp_path, 'cat-1')
    if lines:
        write_lines(tmp_path / 'testing_set.txt', lines)
    with pytest.raises(DataError, match=message):
        LaSOTDataset(tmp_path)
    with pytest.raises(DataError, match=r'nowhere.txt is missing'):
        LaSOTDataset(tmp_path, list_file=tmp_path / 'nowhere.txt')
