"""OTB-100 (Wu et al., TPAMI 2015)."""

import os
import re

from mmlite.errors import DataError
from mmlite.registry import DATASETS

from .annotations import read_list, read_ranges
from .base import SequenceDataset
from .index import Entry

_RANGES = {
    'David': (300, 770),
    'Football1': (1, 74),
    'Freeman3': (1, 460),
    'Freeman4': (1, 283),
    'BlurCar1': (247, None),
    'Tiger1': (6, None),
}
"""Sequence -> numbers of its first and last frame, where these are not all of the folder."""

_SKIPPED = {'Tiger1': 5}  # boxes before the first frame of the sequence


@DATASETS.register_module()
class OTB100Dataset(SequenceDataset):
    """OTB-100, also known as OTB-2015: 100 sequences of 98 videos, all for testing.

    Layout, the official one::

        data_root/
            Basketball/
                img/0001.jpg, 0002.jpg, ...
                groundtruth_rect.txt               a line x,y,w,h a frame
            Jogging/
                img/0001.jpg, ...
                groundtruth_rect.1.txt, groundtruth_rect.2.txt

    Every video with a ground truth is a sequence; with several numbered ones, each is one, called
    ``Jogging-1``, ``Jogging-2``. Some sequences are a part of their video: David is frames 300 to
    770, Football1 1 to 74, Freeman3 1 to 460, Freeman4 1 to 283, BlurCar1 begins with 247, and of
    Tiger1 the first five frames and boxes are left out. Of any other video with more frames than
    boxes, the first frames are used. The target is visible where its box has a positive size.

    Args:
        data_root (str): See above.
        split (str): ``'test'``, the default and only one.
        list_file (str, optional): A list of the sequences to use, one a line. Defaults to all.
        range_file (str, optional): A table of lines ``sequence,video,first,last``, the numbers of
            the first and last frame, in place of what is known about these sequences.
        rebuild_index (bool): See :class:`~mmlite.datasets.sot.base.SequenceDataset`, also for
            attributes and errors. Defaults to False.
    """

    dataset = 'otb100'
    protocol = 'lasot'
    splits = ('test',)
    layout = 'the video folders of OTB-100 (Basketball, ...)'

    def __init__(
        self, data_root, split='test', list_file=None, range_file=None, rebuild_index=False
    ):
        self._files = {'list_file': list_file, 'range_file': range_file}
        super().__init__(data_root, split, rebuild_index, **self._files)

    def _watched(self):
        given = [os.path.abspath(file) for file in self._files.values() if file]
        videos = self._tree.folders('')
        boxes = [f'{video}/{file}' for video in videos for _, file in self._ground_truths(video)]
        return ['', *videos, *boxes, *given]

    def _find(self):
        ranges = read_ranges(self._files['range_file']) if self._files['range_file'] else {}
        found = {}
        for video in self._tree.folders(''):
            for name, file in self._ground_truths(video):
                found[name] = self._entry(name, video, file, ranges.get(name))
        if not self._files['list_file']:
            return list(found.values())
        names = read_list(self._files['list_file'])
        unknown = next((name for name in names if name not in found), None)
        if unknown is not None:
            raise DataError(f"'{self.data_root}' has no ground truth of sequence {unknown}")
        return [found[name] for name in names]

    def _ground_truths(self, video):
        """Name and file of the sequences of a video."""
        files = self._tree.files(video)
        if 'groundtruth_rect.txt' in files:
            return [(video, 'groundtruth_rect.txt')]
        numbered = [re.fullmatch(r'groundtruth_rect\.(\d+)\.txt', file) for file in files]
        targets = sorted((int(match[1]), match[0]) for match in numbered if match)
        if len(targets) == 1:
            return [(video, targets[0][1])]
        return [(f'{video}-{number}', file) for number, file in targets]

    def _entry(self, name, video, file, given):
        annotation = f'{video}/{file}'
        if given:
            video, first, last = given
            return Entry(name, annotation, f'{video}/img', first, last)
        first, last = _RANGES.get(name, (None, None))
        skip = _SKIPPED.get(name, 0)
        return Entry(name, annotation, f'{video}/img', first, last, by_boxes=True, skip=skip)
