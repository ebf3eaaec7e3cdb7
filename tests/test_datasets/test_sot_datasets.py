"""Tracking data sets: layouts and annotations."""

import pickle

import cv2
import numpy as np
import pytest
from tiny_sequences import (
    SHAPE,
    level,
    picture,
    write_boxes,
    write_frames,
    write_got10k,
    write_lasot,
    write_lines,
    write_otb,
    write_trackingnet,
    write_uav,
)

from mmlite.datasets import (
    FrameFolderDataset,
    GOT10kDataset,
    LaSOTDataset,
    LaSOTExtDataset,
    NFSDataset,
    OTB100Dataset,
    TC128Dataset,
    TNL2KDataset,
    TrackingNetDataset,
    UAV123Dataset,
    VOTDataset,
)
from mmlite.errors import ArgumentError, DataError


def numbers_of(frames):
    """Numbers of tiny frames, told from their pictures."""
    return [round(frames.read(i).mean() / level(1)) for i in range(len(frames))]


def test_lasot(tmp_path):
    for name in ('cat-1', 'cat-2', 'dog-1'):
        folder = write_lasot(tmp_path, name)
    write_lines(tmp_path / 'training_set.txt', ['cat-2'])
    write_lines(tmp_path / 'testing_set.txt', ['dog-1', '', 'cat-1'])
    lines = ['1,2,3,4', '1,2,3,4', '1,2,3,4', '0,0,0,0', '1,2,0,4', '1,2,3,4']
    write_lines(folder / 'groundtruth.txt', lines)
    write_lines(folder / 'full_occlusion.txt', ['0,1,0,0,0,0'])
    write_lines(folder / 'out_of_view.txt', ['0,0,1,1,0,0'])
    assert LaSOTDataset(tmp_path, 'train').names == ['cat-2']
    dataset = LaSOTDataset(tmp_path)
    assert dataset.names == ['dog-1', 'cat-1'] and not dataset.faults
    assert dataset.lengths.dtype == np.int64 and dataset.lengths.tolist() == [6, 6]
    assert dataset.metainfo == {'dataset': 'lasot', 'protocol': 'lasot'}
    sequence = dataset[0]
    assert (sequence.name, sequence.dataset, sequence.cover) == ('dog-1', 'lasot', None)
    assert sequence.annotated and len(sequence) == len(sequence.frames) == 6
    assert sequence.visible.tolist() == [True, False, False, False, False, True]
    np.testing.assert_array_equal(sequence.boxes, np.loadtxt(lines, delimiter=','))
    path = str(folder / 'img' / '00000006.jpg')
    assert sequence.frames.where(5) == path
    np.testing.assert_array_equal(sequence.frames.read(5), cv2.imread(path))
    copy = pickle.loads(pickle.dumps(dataset))  # for other processes
    np.testing.assert_array_equal(copy[0].frames.read(5), cv2.imread(path))
    assert copy.names == dataset.names and '2 sequences, 12 frames' in repr(copy)


def test_lasot_all_and_the_extra_folder_level(tmp_path):
    inner = tmp_path / 'LaSOTBenchmark'
    for name in ('cat-10', 'cat-2', 'rubicCube-1'):
        write_lasot(inner, name)
    (inner / 'cat' / 'notes').mkdir()
    for root in (tmp_path, inner):
        write_lines(root / 'testing_set.txt', ['rubicCube-1'])
        assert LaSOTDataset(root, 'all').names == ['cat-2', 'cat-10', 'rubicCube-1']
        assert LaSOTDataset(root).names == ['rubicCube-1']
    inner.rename(tmp_path / 'LaSOT_extension_subset')
    dataset = LaSOTExtDataset(tmp_path)
    assert dataset.names == ['cat-2', 'cat-10', 'rubicCube-1']
    assert dataset.metainfo == {'dataset': 'lasot_ext', 'protocol': 'lasot'}
    assert dataset[2].dataset == 'lasot_ext' and numbers_of(dataset[2].frames) == [*range(1, 7)]


def test_lasot_monkey_17_ends_with_its_annotation(tmp_path):
    folder = write_lasot(tmp_path, 'monkey-17', 1)
    for number in range(2, 2263):
        (folder / 'img' / f'{number:08d}.jpg').touch()
    assert LaSOTDataset(tmp_path, 'all').lengths.tolist() == [2260]


def test_got10k(tmp_path):
    folder = write_got10k(tmp_path, ['b', 'a']) / 'a'
    write_lines(folder / 'absence.label', [0, 1, 0, 0, 0, 0])
    write_lines(folder / 'cover.label', [8, 8, 0, 1, 4, 8])
    write_lines(folder / 'groundtruth.txt', ['1,2,3,4'] * 5 + ['0,0,0,0'])
    dataset = GOT10kDataset(tmp_path)
    assert dataset.names == ['b', 'a'] and numbers_of(dataset[0].frames) == [*range(1, 7)]
    assert dataset[1].visible.tolist() == [True, False, False, True, True, False]
    assert dataset[1].cover.tolist() == [8, 8, 0, 1, 4, 8]
    write_got10k(tmp_path, ['c'], 'test')
    sequence = GOT10kDataset(tmp_path, 'test')[0]
    assert sequence.boxes.shape == (1, 4) and sequence.visible.tolist() == [True]
    assert len(sequence) == 6 and not sequence.annotated and sequence.cover is None


def test_got10k_vot_splits_count_from_zero(tmp_path):
    write_got10k(tmp_path, 'abcde', 'train', 1)
    for split in ('vot_train', 'vot_val'):
        chosen = write_lines(tmp_path / 'split.txt', [3, 0])
        dataset = GOT10kDataset(tmp_path, split, index_file=chosen)
        assert dataset.names == ['d', 'a']
        assert dataset[0].frames.where(0).endswith('train/d/00000001.jpg')
    for line in ('5', '-1', 'a', '00'):
        chosen = write_lines(tmp_path / 'split.txt', [0, line])
        with pytest.raises(DataError, match=r'line 2: .*( from 0 to 4|on line 1 already)$'):
            GOT10kDataset(tmp_path, 'vot_train', index_file=chosen)
    with pytest.raises(ArgumentError, match="'vot_val' needs index_file"):
        GOT10kDataset(tmp_path, 'vot_val')


def test_trackingnet_chunks_and_order_of_frames(tmp_path):
    for chunk in range(12):
        write_trackingnet(tmp_path, f'TRAIN_{chunk}', [f'v{chunk}_b', f'v{chunk}_a'])
    everything = TrackingNetDataset(tmp_path, 'train')
    assert everything.names == [f'v{chunk}_{kind}' for chunk in range(12) for kind in 'ab']
    dataset = TrackingNetDataset(tmp_path, 'train', chunks=[11, 3])
    assert dataset.names == ['v11_a', 'v11_b', 'v3_a', 'v3_b']
    assert numbers_of(dataset[0].frames) == [*range(12)]  # 10 comes after 9, not after 1
    assert dataset[0].visible.all() and dataset[0].annotated


def test_trackingnet_test_and_wrong_chunks(tmp_path):
    for chunks in ([12], [-1], [], ['1']):
        with pytest.raises(ArgumentError, match='chunks must be numbers from 0 to 11'):
            TrackingNetDataset(tmp_path, 'train', chunks=chunks)
    with pytest.raises(ArgumentError, match="chunks are parts of split 'train' only"):
        TrackingNetDataset(tmp_path, chunks=[0])
    for chunk in ('TRAIN_0', 'TEST'):
        write_trackingnet(tmp_path, chunk, ['x'])
    with pytest.raises(DataError, match='no directory TRAIN_1/anno: set chunks to the existing'):
        TrackingNetDataset(tmp_path, 'train')
    dataset = TrackingNetDataset(tmp_path)
    assert dataset.metainfo['protocol'] == 'trackingnet' and dataset.lengths.tolist() == [12]
    assert not dataset[0].annotated and dataset[0].boxes.tolist() == [[0, 2, 3.5, 4]]


def test_otb_targets_of_one_video(tmp_path):
    write_otb(tmp_path, 'Jogging', range(1, 6), 5, 'groundtruth_rect.1.txt')
    write_boxes(tmp_path / 'Jogging' / 'groundtruth_rect.2.txt', 5, first=50)
    write_otb(tmp_path, 'Human4', range(1, 6), 5, 'groundtruth_rect.2.txt')
    dataset = OTB100Dataset(tmp_path)
    assert dataset.names == ['Human4', 'Jogging-1', 'Jogging-2']
    assert dataset[1].boxes[0, 0] == 0 and dataset[2].boxes[0, 0] == 50
    assert dataset[1].frames.where(0) == dataset[2].frames.where(0)
    write_boxes(tmp_path / 'Jogging' / 'groundtruth_rect.txt', 5)
    assert OTB100Dataset(tmp_path).names == ['Human4', 'Jogging']


@pytest.mark.parametrize(('video', 'numbers', 'boxes', 'first', 'skipped'), [
    ('David', range(1, 780), 471, 300, 0),
    ('BlurCar1', range(240, 260), 13, 247, 0),
    ('Tiger1', range(1, 21), 20, 6, 5),
    ('Football1', range(1, 80), 74, 1, 0),
    ('Diving', range(1, 20), 15, 1, 0),  # more frames than boxes
])  # fmt: skip
def test_otb_ranges(tmp_path, video, numbers, boxes, first, skipped):
    boxes = write_otb(tmp_path, video, numbers, boxes)
    sequence = OTB100Dataset(tmp_path)[0]
    np.testing.assert_array_equal(sequence.boxes, boxes[skipped:])
    last = first + len(boxes) - skipped - 1
    for frame, number in ((0, first), (len(sequence) - 1, last)):
        assert sequence.frames.where(frame).endswith(f'{number:04d}.jpg')


def test_uav_ranges_that_the_boxes_tell(tmp_path):
    write_uav(tmp_path, {'bike1': 6, 'group1': 9}, {'bike1': 6, 'group1_1': 5, 'group1_2': 4})
    write_uav(tmp_path, {}, {'group1': 9}, 'UAV20L')
    dataset = UAV123Dataset(tmp_path)
    assert dataset.names == ['bike1', 'group1_1', 'group1_2']
    found = [numbers_of(sequence.frames) for sequence in dataset]
    assert found == [[1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5], [6, 7, 8, 9]]
    assert UAV123Dataset(tmp_path, 'uav20l').lengths.tolist() == [9]


def test_uav_other_ranges_need_a_table(tmp_path):
    write_uav(tmp_path / 'data', {'bird1': 20, 'car1': 9}, {'bird1_1': 4, 'bird1_2': 6, 'car1': 9})
    dataset = UAV123Dataset(tmp_path / 'data')
    assert list(dataset.faults) == ['bird1_1', 'bird1_2']
    assert dataset.lengths.tolist() == [0, 0, 9] and len(dataset[2]) == 9
    with pytest.raises(DataError, match=r'range_file must have a line bird1_2,<video>'):
        dataset[1]
    table = write_lines(tmp_path / 'table.csv', ['bird1_1,bird1,1,4', 'bird1_2\tbird1\t12\t17'])
    dataset = UAV123Dataset(tmp_path / 'data', range_file=table)
    assert not dataset.faults and dataset.lengths.tolist() == [4, 6, 9]
    assert numbers_of(dataset[1].frames) == [12, 13, 14, 15, 16, 17]


def test_uav_faults_of_single_sequences(tmp_path):
    names = ['bike1', 'boat1', 'car1', 'group1_1', 'group1_2']
    write_uav(tmp_path, {'bike1': 3, 'boat1': 3, 'group1': 3}, dict.fromkeys(names, 3))
    (tmp_path / 'data_seq/UAV123/group1/x.jpg').touch()
    write_lines(tmp_path / 'anno/UAV123/bike1.txt', ['1,2,3,4', 'NaN,NaN,NaN,NaN', '1,2,3,4'])
    write_frames(tmp_path / 'data_seq/UAV123/dog1', range(1, 4), '{:06d}.jpg')
    write_lines(tmp_path / 'anno/UAV123/dog1.txt', ['nan,nan,nan,nan', 'inf,1,1,1', '1,2,3,4'])
    write_lines(tmp_path / 'anno/UAV123/boat1.txt', ['1,2,3'])
    dataset = UAV123Dataset(tmp_path)
    assert list(dataset.faults) == ['boat1', 'car1', 'dog1', 'group1_1', 'group1_2']
    assert (
        dataset[0].visible.tolist() == [True, False, True] and np.isnan(dataset[0].boxes[1]).all()
    )
    assert 'dog1.txt, line 2' in dataset.faults['dog1'] and 'finite' in dataset.faults['dog1']
    assert "boat1.txt, line 1: '1,2,3' is not 4 numbers" in dataset.faults['boat1']
    assert 'do not tell which frames' in dataset.faults['car1']
    assert "group1/x.jpg' has no number" in dataset.faults['group1_2']


@pytest.mark.parametrize(('lines', 'message'), [
    (['a,b,1'], r"table.csv, line 1: 'a,b,1' is not sequence,video,first,last"),
    (['# note', 'a,b,9,3'], r"line 2: 'a,b,9,3' is not sequence"),
    (['a,b,1,2', 'a,c,1,2'], r"line 2: 'a' is listed twice"),
    (['# note'], r'table.csv is empty'),
])  # fmt: skip
def test_bad_table_of_ranges(tmp_path, lines, message):
    write_uav(tmp_path, {'a': 3}, {'a': 3})
    table = write_lines(tmp_path / 'table.csv', lines)
    with pytest.raises(DataError, match=message):
        UAV123Dataset(tmp_path, range_file=table)


def test_tc128_ranges_of_frames(tmp_path):
    for name, first, last in (('Airport_ce', 3, 6), ('Bolt', 1, 4)):
        write_frames(tmp_path / name / 'img', range(1, 9), '{:04d}.jpg')
        write_lines(tmp_path / name / f'{name}_frames.txt', [f'{first},{last}'])
        write_boxes(tmp_path / name / f'{name}_gt.txt', 4)
    dataset = TC128Dataset(tmp_path)
    assert dataset.names == ['Airport_ce', 'Bolt'] and not dataset.faults
    assert numbers_of(dataset[0].frames) == [3, 4, 5, 6]
    assert dataset[0].boxes[3].tolist() == [3, 2, 3.5, 4]
    assert TC128Dataset(tmp_path, 'ce').names == ['Airport_ce']


def test_nfs(tmp_path):
    for name, frames in (('airplane', 8), ('bee', 5)):
        write_frames(tmp_path / 'sequences' / name, range(1, frames + 1), '{:05d}.jpg')
        write_boxes(tmp_path / f'anno/nfs_{name}.txt', 5, '\t')
    dataset = NFSDataset(tmp_path)
    assert dataset.names == ['airplane', 'bee'] and dataset.lengths.tolist() == [5, 5]
    assert numbers_of(dataset[0].frames) == [1, 2, 3, 4, 5]


def test_tnl2k_in_one_directory_or_in_the_parts_of_its_download(tmp_path):
    for folder in ('cat_1', 'part_1/INF_dog', 'part_2/CM_bus'):
        write_frames(tmp_path / folder / 'imgs', range(1, 5), '{:05d}.png')
        write_boxes(tmp_path / folder / 'groundtruth.txt', 4)
        write_lines(tmp_path / folder / 'language.txt', ['the cat'])
    write_lines(tmp_path / 'part_2' / 'CM_bus' / 'groundtruth.txt', ['1,2,3,4'] * 3 + ['0,0,0,0'])
    dataset = TNL2KDataset(tmp_path)
    assert dataset.names == ['cat_1', 'INF_dog', 'CM_bus'] and not dataset.faults
    assert dataset.metainfo == {'dataset': 'tnl2k', 'protocol': 'lasot'}
    assert numbers_of(dataset[1].frames) == [1, 2, 3, 4]
    assert dataset[1].boxes[2].tolist() == [2, 2, 3.5, 4]
    assert dataset[2].visible.tolist() == [True, True, True, False]


def test_two_sequences_of_one_name_are_refused(tmp_path):
    for part in ('part_1', 'part_2'):
        write_frames(tmp_path / part / 'cat' / 'imgs', range(1, 3))
        write_boxes(tmp_path / part / 'cat' / 'groundtruth.txt', 2)
    with pytest.raises(DataError, match='two sequences are called cat, those of .*part_1/cat/gr'):
        TNL2KDataset(tmp_path)


@pytest.mark.parametrize(
    ('kind', 'inner', 'files', 'fault'),
    [
        (TNL2KDataset, 'imgs', {'a/groundtruth.txt': '1,2,3,4'}, 'b/groundtruth.txt is missing'),
        (OTB100Dataset, 'img', {'a/groundtruth_rect.txt': '1,2,3,4'}, 'b/groundtruth_rect.txt is'),
        (TC128Dataset, 'img', {}, 'b/b_frames.txt is missing'),
        (TC128Dataset, 'img', {'b/b_frames.txt': '2,1'}, 'b_frames.txt must have the numbers of'),
        (TC128Dataset, 'img', {'b/b_frames.txt': '1,nan'}, 'b_frames.txt must have the numbers of'),
    ],
)
def test_a_sequence_without_its_annotation_is_not_left_out(tmp_path, kind, inner, files, fault):
    for name in 'ab':
        write_frames(tmp_path / name / inner, range(1, 3), '{:04d}.jpg')
    for file, line in {'a/a_frames.txt': '1,2', **files}.items():
        write_lines(tmp_path / file, [line])
    with pytest.raises(DataError, match=fault):
        kind(tmp_path)[1]


def test_vot_boxes_surround_the_regions(tmp_path):
    write_lines(tmp_path / 'list.txt', ['bag', 'ball', 'mask'])
    write_frames(tmp_path / 'bag' / 'color', range(1, 4))
    write_lines(
        tmp_path / 'bag' / 'groundtruth.txt',
        ['4,1,8,5,4,9.5,0,5', '5,1,9,5,5,9,1,5'] + ['0,0,2,0,2,3,0,3'],
    )
    write_frames(tmp_path / 'ball', range(1, 3))
    write_boxes(tmp_path / 'ball' / 'groundtruth.txt', 2)
    write_frames(tmp_path / 'mask' / 'color', range(1, 3))
    write_lines(tmp_path / 'mask' / 'groundtruth.txt', ['m1,2,3,4,5'] * 2)
    dataset = VOTDataset(tmp_path)
    assert dataset.names == ['bag', 'ball', 'mask']
    assert dataset[0].boxes.tolist() == [[0, 1, 8, 8.5], [1, 1, 8, 8], [0, 0, 2, 3]]
    assert dataset[0].regions[1].tolist() == [[5, 1], [9, 5], [5, 9], [1, 5]]
    assert dataset[1].boxes.tolist() == [[0, 2, 3.5, 4], [1, 2, 3.5, 4]]
    assert dataset[1].regions[1].tolist() == [[1, 2], [4.5, 2], [4.5, 6], [1, 6]]
    assert numbers_of(dataset[0].frames) == [1, 2, 3]
    assert dataset[0].dataset == dataset.metainfo['dataset'] == 'vot_baseline'
    with pytest.raises(DataError, match='mask/groundtruth.txt has masks, as VOT2020'):
        dataset[2]
    other = VOTDataset(tmp_path, experiment='unsupervised')
    assert other[0].regions is None and other[0].dataset == 'vot_unsupervised'
    write_lines(tmp_path / 'ball' / 'groundtruth.txt', ['1,2,3,4,5'] * 2)
    with pytest.raises(DataError, match='must have x,y,w,h or the corners of a polygon'):
        dataset[1]


@pytest.mark.parametrize('inner', ['', 'img', 'frames', 'images'])
def test_frame_folder(tmp_path, inner):
    write_frames(tmp_path / 'cat' / inner, [0, 5, 10, 70], 'frame_{}.png')
    file = tmp_path / 'cat' / 'groundtruth.txt'
    write_lines(file, ['1,2,3,4', '0,0,0,0', 'nan,nan,nan,nan', '5 6 7 8'])
    (tmp_path / 'notes').mkdir()
    for root in (tmp_path, tmp_path / 'cat'):  # several sequences, or one
        dataset = FrameFolderDataset(root)
        assert dataset.names == ['cat'] and dataset.lengths.tolist() == [4]
        assert dataset[0].visible.tolist() == [True, False, False, True]
        assert numbers_of(dataset[0].frames) == [0, 5, 10, 70]
    write_boxes(file, 1)
    assert len(dataset[0]) == 4 and not FrameFolderDataset(tmp_path)[0].annotated


def test_frame_folder_faults(tmp_path):
    for name in ('a', 'b', 'c'):
        write_frames(tmp_path / name, range(3))
        write_boxes(tmp_path / name / 'groundtruth.txt', 3)
    (tmp_path / 'b' / 'groundtruth.txt').unlink()
    for file in (tmp_path / 'c').glob('*.jpg'):
        file.unlink()
    dataset = FrameFolderDataset(tmp_path)
    assert dataset.names == ['a', 'b', 'c'] and len(dataset[0]) == 3
    with pytest.raises(DataError, match=r'b/groundtruth.txt is missing'):
        dataset[1]
    with pytest.raises(DataError, match=r"c' has neither frames nor a video"):
        dataset[2]


def test_grey_and_16_bit_frames_are_bgr(tmp_path):
    write_boxes(tmp_path / 'groundtruth.txt', 3)
    cv2.imwrite(str(tmp_path / '1.png'), picture(20)[..., 0])
    cv2.imwrite(str(tmp_path / '2.png'), picture(30).astype(np.uint16) * 257)
    cv2.imwrite(str(tmp_path / '3.png'), np.dstack([picture(40), picture(40)[..., 0]]))
    frames = FrameFolderDataset(tmp_path)[0].frames
    for index, number in enumerate((20, 30, 40)):
        image = frames.read(index)
        assert image.shape == SHAPE and image.dtype == np.uint8
        np.testing.assert_array_equal(image, picture(number))
