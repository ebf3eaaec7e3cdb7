"""Test sets whose sequences may be a part of a video: OTB-100, TC-128, NFS, UAV123, UAV20L."""

import re
from collections import defaultdict

import numpy as np

from mmlite.errors import DataError
from mmlite.registry import DATASETS

from .annotations import parse_table, read_boxes, read_ranges
from .base import SequenceDataset, text_files
from .frames import sort_frames
from .index import Entry

_OTB_RANGES = dict(
    David=(300, 770), Football1=(1, 74), Freeman3=(1, 460), Freeman4=(1, 283),
    BlurCar1=(247, None), Tiger1=(6, None),
)  # fmt: skip
"""Sequence -> numbers of its first and last frame, where these are not all of the directory."""

_OTB_SKIPPED = {'Tiger1': 5}  # boxes before the first frame of the sequence
_UAV_BOXES = {'uav123': 'anno/UAV123', 'uav20l': 'anno/UAV20L'}
_UAV_VIDEOS = 'data_seq/UAV123'


@DATASETS.register_module()
class OTB100Dataset(SequenceDataset):
    """OTB-100, also known as OTB-2015 (Wu et al., TPAMI 2015): 100 sequences of 98 videos.

    Several numbered ground truths are sequences ``Jogging-1``, ``Jogging-2``. The official ranges
    of frames are built in; of other videos with more frames than boxes, the first frames are used.
    The target is visible where its box has a positive size.

    Arguments, attributes and errors as in :class:`~.base.SequenceDataset`; the only split is
    ``'test'``.
    """

    dataset = 'otb100'
    protocol = 'lasot'
    splits = ('test',)
    layout = 'the video directories of OTB-100 (Basketball, ...)'

    def __init__(self, data_root, split='test', rebuild_index=False):
        super().__init__(data_root, split, rebuild_index)

    def _find(self, tree):
        entries = []
        for video in tree.folders(''):
            files = tree.files(video)
            targets = {video: 'groundtruth_rect.txt'}
            if 'groundtruth_rect.txt' not in files:
                numbered = [re.fullmatch(r'groundtruth_rect\.(\d+)\.txt', file) for file in files]
                targets = {f'{video}-{match[1]}': match[0] for match in numbered if match}
                if len(targets) == 1:
                    targets = {video: targets.popitem()[1]}
                if not targets and tree.is_folder(f'{video}/img'):  # a fault
                    targets = {video: 'groundtruth_rect.txt'}
            for name, file in sorted(targets.items()):
                first, last = _OTB_RANGES.get(name, (None, None))
                entries.append(Entry(
                    name, f'{video}/{file}', f'{video}/img', first, last, by_boxes=True,
                    skip=_OTB_SKIPPED.get(name, 0),
                ))  # fmt: skip
        return entries


@DATASETS.register_module()
class TC128Dataset(SequenceDataset):
    """TC-128, also known as Temple Color (Liang et al., TIP 2015): 128 sequences in color.

    The target is visible where its box has a positive size.

    Args (others, attributes and errors as in :class:`~.base.SequenceDataset`):
        split (str): ``'test'``, the default, or ``'ce'``, the 78 sequences that OTB-100 lacks,
            whose names contain ``_ce``.
    """

    dataset = 'tc128'
    protocol = 'lasot'
    splits = ('test', 'ce')
    layout = 'the sequence directories of TC-128 (Airport_ce, ...)'

    def __init__(self, data_root, split='test', rebuild_index=False):
        super().__init__(data_root, split, rebuild_index)

    def _find(self, tree):
        entries = []
        for name in tree.folders(''):
            ranges = [file for file in tree.files(name) if file.endswith('_frames.txt')]
            if not ranges and tree.is_folder(f'{name}/img'):
                ranges = [f'{name}_frames.txt']  # is missing
            if not ranges or self.split == 'ce' and '_ce' not in name:
                continue
            path = f'{name}/{ranges[0]}'
            text, where = tree.read(path).decode('utf-8-sig', 'replace'), tree.where(path)
            first, last = parse_table(text, where, columns=2)[0]
            if not first <= last < np.inf:
                raise DataError(f'{where} must have the numbers of the first and last frame')
            boxes = path.replace('_frames.txt', '_gt.txt')
            entries.append(Entry(name, boxes, f'{name}/img', int(first), int(last)))
        return entries


@DATASETS.register_module()
class NFSDataset(SequenceDataset):
    """Need for Speed (Galoogahi et al., ICCV 2017, arXiv 1703.05884): 100 sequences, at 30 Hz.

    Where a video has more frames than boxes, the first ones are used. The target is visible where
    its box has a positive size. Arguments, attributes and errors as in
    :class:`~.base.SequenceDataset`; the only split is ``'test'``.
    """

    dataset = 'nfs'
    protocol = 'lasot'
    splits = ('test',)
    layout = 'sequences/ and anno/ of NFS'

    def __init__(self, data_root, split='test', rebuild_index=False):
        super().__init__(data_root, split, rebuild_index)

    def _find(self, tree):
        entries = []
        for file in text_files(tree, 'anno'):
            name = file.removeprefix('nfs_')
            entries.append(Entry(name, f'anno/{file}.txt', f'sequences/{name}', by_boxes=True))
        return entries


@DATASETS.register_module()
class UAV123Dataset(SequenceDataset):
    """UAV123 (Mueller et al., ECCV 2016): 123 sequences filmed from drones; UAV20L: 20 long ones.

    Many sequences are a part of a longer video (``configSeqs.m``). Without a table, a sequence is
    found if a video of its name has as many frames as it has boxes, or if the parts ``<video>_1``,
    ``<video>_2``, ... together have as many boxes as the video has frames; all others are in
    ``faults``. The target is visible where its box, which may be NaN, has a positive size.

    Args (others, attributes and errors as in :class:`~.base.SequenceDataset`):
        split (str): ``'uav123'``, the default, or ``'uav20l'``.
        range_file (str, optional): A table of lines ``sequence,video,first,last``, the numbers of
            the first and last frame as in the file names. It takes precedence.
    """

    dataset = 'uav123'
    protocol = 'uav'
    splits = tuple(_UAV_BOXES)
    layout = 'data_seq/ and anno/ of UAV123'
    nan_legal = True

    def __init__(self, data_root, split='uav123', range_file=None, rebuild_index=False):
        super().__init__(data_root, split, rebuild_index, range_file=range_file)

    def _find(self, tree):
        folder = _UAV_BOXES[self.split]
        names = text_files(tree, folder)
        file, faults = self._options['range_file'], {}
        ranges = read_ranges(tree, file) if file else {}
        videos = defaultdict(dict)  # video -> path of the boxes of its sequences without a range
        for name in names:
            if name not in ranges:
                whole = tree.is_folder(f'{_UAV_VIDEOS}/{name}')
                videos[name if whole else name.rpartition('_')[0]][name] = f'{folder}/{name}.txt'
        for video, paths in videos.items():
            try:
                ranges.update(_infer_ranges(tree, video, paths))
            except DataError as error:
                faults.update(dict.fromkeys(paths, str(error)))
        entries = []
        for name in names:
            path = f'{folder}/{name}.txt'
            if name in ranges:
                video, first, last = ranges[name]
                entries.append(Entry(name, path, f'{_UAV_VIDEOS}/{video}', first, last))
            else:
                unknown = (
                    f'the boxes of {tree.where(path)} do not tell which frames they are for: '
                    f'range_file must have a line {name},<video>,<first>,<last>'
                )
                entries.append(Entry(name, path, None, fault=faults.get(name, unknown)))
        return entries


def _infer_ranges(tree, video, paths):
    """Ranges of sequences of UAV123 if they are the video, or if numbered parts fill it."""
    counts = {name: len(read_boxes(tree, path, nan_legal=True)) for name, path in paths.items()}
    folder, numbers = f'{_UAV_VIDEOS}/{video}', []
    if video and tree.is_folder(folder):
        numbers = sort_frames(tree.files(folder), tree.where(folder))[1]
    parts = [video] if video in counts else [f'{video}_{n}' for n in range(1, len(counts) + 1)]
    if set(parts) != set(counts) or sum(counts.values()) != len(numbers):
        return {}
    ranges, first = {}, numbers[0]
    for name in parts:
        ranges[name] = video, first, first + counts[name] - 1
        first += counts[name]
    return ranges
