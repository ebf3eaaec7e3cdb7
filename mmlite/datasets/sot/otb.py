"""OTB-100 (Wu et al., TPAMI 2015)."""

import re

from mmlite.errors import DataError
from mmlite.registry import DATASETS

from .annotations import read_list
from .base import SequenceDataset
from .index import Entry

_RANGES = dict(
    David=(300, 770), Football1=(1, 74), Freeman3=(1, 460), Freeman4=(1, 283),
    BlurCar1=(247, None), Tiger1=(6, None),
)  # fmt: skip
"""Sequence -> numbers of its first and last frame, where these are not all of the directory."""

_SKIPPED = {'Tiger1': 5}  # boxes before the first frame of the sequence


@DATASETS.register_module()
class OTB100Dataset(SequenceDataset):
    """OTB-100, also known as OTB-2015: 100 sequences of 98 videos, all for testing.

    Official layout::

        data_root/
            Basketball/
                img/0001.jpg, 0002.jpg, ...
                groundtruth_rect.txt               a line x,y,w,h a frame
            Jogging/
                img/0001.jpg, ...
                groundtruth_rect.1.txt, groundtruth_rect.2.txt

    Several numbered ground truths are sequences ``Jogging-1``, ``Jogging-2``. The official ranges
    of frames are built in; of other videos with more frames than boxes, the first frames are used.
    The target is visible where its box has a positive size.

    Args (others, attributes and errors as in :class:`~.base.SequenceDataset`):
        split (str): ``'test'``, the default and only one.
        list_file (str, optional): A list of the sequences to use, one a line. Defaults to all.
        range_file (str, optional): A table of lines ``sequence,video,first,last``, the numbers of
            the first and last frame, in place of the built-in ranges.
    """

    dataset = 'otb100'
    protocol = 'lasot'
    splits = ('test',)
    layout = 'the video directories of OTB-100 (Basketball, ...)'

    def __init__(
        self, data_root, split='test', list_file=None, range_file=None, rebuild_index=False
    ):
        super().__init__(
            data_root, split, rebuild_index, list_file=list_file, range_file=range_file
        )

    def _watched(self):
        boxes = [f'{video}/{file}' for _, video, file in self._ground_truths()]
        return ['', *self._tree.folders(''), *boxes]

    def _find(self):
        ranges = self._ranges()
        found = {}
        for name, video, file in self._ground_truths():
            annotation = f'{video}/{file}'
            first, last = _RANGES.get(name, (None, None))
            if name in ranges:
                video, first, last = ranges[name]
            found[name] = Entry(
                name, annotation, f'{video}/img', first, last, by_boxes=name not in ranges,
                skip=0 if name in ranges else _SKIPPED.get(name, 0),
            )  # fmt: skip
        if not self._options['list_file']:
            return list(found.values())
        names = read_list(self._options['list_file'])
        unknown = next((name for name in names if name not in found), None)
        if unknown is not None:
            raise DataError(f"'{self.data_root}' has no ground truth of sequence {unknown}")
        return [found[name] for name in names]

    def _ground_truths(self):
        found = []
        for video in self._tree.folders(''):
            files = self._tree.files(video)
            if 'groundtruth_rect.txt' in files:
                found.append((video, video, 'groundtruth_rect.txt'))
                continue
            numbered = [re.fullmatch(r'groundtruth_rect\.(\d+)\.txt', file) for file in files]
            targets = sorted((int(match[1]), match[0]) for match in numbered if match)
            for number, file in targets:
                found.append((f'{video}-{number}' if len(targets) > 1 else video, video, file))
        return found
