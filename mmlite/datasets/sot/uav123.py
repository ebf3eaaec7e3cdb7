"""UAV123 and UAV20L (Mueller et al., ECCV 2016)."""

from collections import defaultdict

from mmlite.errors import DataError
from mmlite.registry import DATASETS

from .annotations import read_boxes
from .base import SequenceDataset
from .frames import sort_frames
from .index import Entry

_FOLDERS = {'uav123': 'UAV123', 'uav20l': 'UAV20L'}
_VIDEOS = 'data_seq/UAV123'


@DATASETS.register_module()
class UAV123Dataset(SequenceDataset):
    """UAV123: 123 sequences filmed from drones, and UAV20L, 20 long ones of the same videos.

    Official layout::

        data_root/
            data_seq/UAV123/<video>/000001.jpg, ...
            anno/UAV123/<sequence>.txt             a line x,y,w,h a frame, NaN where it is absent
            anno/UAV20L/<sequence>.txt

    Many sequences are a part of a longer video (``configSeqs.m``). Without a table, a sequence is
    found if a video of its name has as many frames as it has boxes, or if the parts ``<video>_1``,
    ``<video>_2``, ... together have as many boxes as the video has frames; all others are in
    ``faults``. The target is visible where its box has a positive size.

    Args (others, attributes and errors as in :class:`~.base.SequenceDataset`):
        split (str): ``'uav123'``, the default, or ``'uav20l'``.
        range_file (str, optional): A table of lines ``sequence,video,first,last``, the numbers of
            the first and last frame as in the file names. It takes precedence.
    """

    dataset = 'uav123'
    protocol = 'uav'
    splits = tuple(_FOLDERS)
    layout = 'data_seq/ and anno/ of UAV123'
    nan_legal = True

    def __init__(self, data_root, split='uav123', range_file=None, rebuild_index=False):
        super().__init__(data_root, split, rebuild_index, range_file=range_file)

    def _watched(self):
        return [_VIDEOS, *map(self._path, self._names())]

    def _names(self):
        return self._text_files(f'anno/{_FOLDERS[self.split]}')

    def _path(self, name):
        return f'anno/{_FOLDERS[self.split]}/{name}.txt'

    def _find(self):
        ranges = self._ranges()
        boxes, faults = {}, {}  # of the sequences without a given range
        for name in self._names():
            if name not in ranges:
                try:
                    boxes[name] = len(read_boxes(self._tree, self._path(name), self.nan_legal))
                except DataError as error:
                    faults[name] = str(error)
        ranges = {**self._infer_ranges(boxes, faults), **ranges}
        entries = []
        for name in self._names():
            path = self._path(name)
            if name in ranges:
                video, first, last = ranges[name]
                entries.append(Entry(name, path, f'{_VIDEOS}/{video}', first, last))
                continue
            unknown = (
                f'the boxes of {self._tree.where(path)} do not tell which frames they are for: '
                f'range_file must have a line {name},<video>,<first>,<last>'
            )
            entries.append(Entry(name, path, None, fault=faults.get(name, unknown)))
        return entries

    def _infer_ranges(self, boxes, faults):
        """Ranges of the sequences that are a video, or whose numbered parts fill one."""
        whole = {name: {1: name} for name in boxes}
        parts = defaultdict(dict)
        for name in boxes:
            video, _, number = name.rpartition('_')
            if video and number.isdigit():
                parts[video][int(number)] = name
        found = {}
        for video, names in [*whole.items(), *parts.items()]:
            numbers = self._frame_numbers(video, names.values(), faults)
            counts = [boxes[names[part]] for part in sorted(names)]
            if sorted(names) != list(range(1, len(names) + 1)) or sum(counts) != len(numbers):
                continue
            first = numbers[0]
            for part, count in enumerate(counts, 1):
                found[names[part]] = video, first, first + count - 1
                first += count
        return found

    def _frame_numbers(self, video, names, faults):
        """Numbers of the frames of a video, if any; its fault becomes that of ``names``."""
        folder = f'{_VIDEOS}/{video}'
        if not self._tree.is_folder(folder):
            return []
        try:
            return sort_frames(self._tree.files(folder), self._tree.where(folder))[1]
        except DataError as error:
            faults.update(dict.fromkeys(names, str(error)))
            return []
