"""UAV123 and UAV20L (Mueller et al., ECCV 2016)."""

import os
from collections import defaultdict

from mmlite.errors import DataError
from mmlite.registry import DATASETS

from .annotations import read_boxes, read_ranges
from .base import SequenceDataset
from .frames import sort_frames
from .index import Entry

_FOLDERS = {'uav123': 'UAV123', 'uav20l': 'UAV20L'}
_VIDEOS = 'data_seq/UAV123'


@DATASETS.register_module()
class UAV123Dataset(SequenceDataset):
    """UAV123: 123 sequences filmed from drones, and UAV20L, 20 long ones of the same videos.

    Layout, the official one::

        data_root/
            data_seq/UAV123/<video>/000001.jpg, ...
            anno/UAV123/<sequence>.txt             a line x,y,w,h a frame, NaN where it is absent
            anno/UAV20L/<sequence>.txt

    Every file in ``anno/UAV123`` is a sequence. Many sequences are a part of a longer video; which
    part is in the data set's own table (``configSeqs.m``). Without a table, two cases are certain
    and need none: a video of the sequence's name with as many frames as it has boxes, and a video
    whose parts ``<video>_1``, ``<video>_2``, ... follow each other and together have as many boxes
    as it has frames. Sequences of neither kind are in ``faults`` until ``range_file`` is given.

    The target is visible where its box has a positive size; NaN is legal.

    Args:
        data_root (str): See above.
        split (str): ``'uav123'``, the default, or ``'uav20l'``.
        range_file (str, optional): A table of lines ``sequence,video,first,last``, the numbers of
            the first and last frame of the sequence in the folder of the video, counted as in the
            file names. It goes before what was said above.
        rebuild_index (bool): See :class:`~mmlite.datasets.sot.base.SequenceDataset`, also for
            attributes and errors. Defaults to False.
    """

    dataset = 'uav123'
    protocol = 'uav'
    splits = tuple(_FOLDERS)
    layout = 'data_seq/ and anno/ of UAV123'
    nan_legal = True

    def __init__(self, data_root, split='uav123', range_file=None, rebuild_index=False):
        self._range_file = range_file
        super().__init__(data_root, split, rebuild_index, range_file=range_file)

    def _watched(self):
        given = [os.path.abspath(self._range_file)] if self._range_file else []
        return [_VIDEOS, *map(self._path, self._names()), *given]

    def _find(self):
        ranges = read_ranges(self._range_file) if self._range_file else {}
        names = self._names()
        boxes, faults = {}, {}
        for name in names:
            if name not in ranges:
                try:
                    boxes[name] = len(read_boxes(self._tree, self._path(name), self.nan_legal))
                except DataError as error:
                    faults[name] = str(error)
        ranges = {**self._whole(boxes, faults), **self._parts(boxes, faults), **ranges}
        return [self._entry(name, ranges.get(name), faults.get(name)) for name in names]

    def _names(self):
        files = sorted(self._tree.files(f'anno/{_FOLDERS[self.split]}'))
        return [file.removesuffix('.txt') for file in files if file.endswith('.txt')]

    def _whole(self, boxes, faults):
        """Ranges of the sequences that are a whole video."""
        found = {}
        for name, count in boxes.items():
            numbers = self._numbers(name, [name], faults)
            if len(numbers) == count:
                found[name] = name, numbers[0], numbers[-1]
        return found

    def _parts(self, boxes, faults):
        """Ranges of the sequences that one after the other fill a video."""
        parts = defaultdict(dict)
        for name in boxes:
            video, _, number = name.rpartition('_')
            if number.isdigit():
                parts[video][int(number)] = name
        found = {}
        for video, names in parts.items():
            numbers = self._numbers(video, names.values(), faults)
            counts = [boxes[names[part]] for part in sorted(names)]
            if not numbers or sorted(names) != list(range(1, len(names) + 1)):
                continue
            if sum(counts) == len(numbers):
                start = numbers[0]
                for part, count in enumerate(counts, 1):
                    found[names[part]] = video, start, start + count - 1
                    start += count
        return found

    def _numbers(self, video, names, faults):
        """Numbers of the frames of a video; none if there is no such video.

        If its frames are at fault, so are the sequences ``names``.
        """
        folder = f'{_VIDEOS}/{video}'
        if not video or not self._tree.is_folder(folder):
            return []
        try:
            return sort_frames(self._tree.files(folder), self._tree.where(folder))[1]
        except DataError as error:
            faults.update(dict.fromkeys(names, str(error)))
            return []

    def _entry(self, name, place, fault):
        if place:
            video, first, last = place
            return Entry(name, self._path(name), f'{_VIDEOS}/{video}', first, last)
        fault = fault or (
            f'the boxes of {self._tree.where(self._path(name))} do not tell which frames of '
            f"'{os.path.join(self.data_root, _VIDEOS)}' they are for: give a range_file with a "
            f'line {name},<video>,<first>,<last>'
        )
        return Entry(name, self._path(name), None, fault=fault)

    def _path(self, name):
        return f'anno/{_FOLDERS[self.split]}/{name}.txt'
