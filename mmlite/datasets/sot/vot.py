"""Short-term VOT challenges with boxes: VOT2013 to VOT2019 (Kristan et al.)."""

from dataclasses import replace

import numpy as np

from mmlite.errors import DataError
from mmlite.registry import DATASETS
from mmlite.utils.names import check_known

from .annotations import parse_table, read_list
from .base import SequenceDataset
from .index import Entry

EXPERIMENTS = ('baseline', 'unsupervised')


@DATASETS.register_module()
class VOTDataset(SequenceDataset):
    """A workspace of the VOT toolkit, ``sequences/``: ``list.txt`` and a directory a sequence.

    Annotated regions are rectangles or polygons; the boxes are the smallest ones around them. The
    results are scored by the toolkit: the test writes its files, see
    :mod:`~mmlite.evaluation.sot.submission`. Masks (VOT2020 and later) are refused.

    Args (others, attributes and errors as in :class:`~.base.SequenceDataset`):
        experiment (str): ``'baseline'``, the default, starts the tracker anew, five frames later,
            where its box has left the annotated region; ``'unsupervised'`` never does.
    """

    dataset = 'vot'
    protocol = 'lasot'
    splits = ('test',)
    layout = "list.txt and the sequence directories of the VOT toolkit's sequences/"

    def __init__(self, data_root, split='test', experiment=EXPERIMENTS[0], rebuild_index=False):
        check_known('VOTDataset: experiment', experiment, EXPERIMENTS)
        super().__init__(data_root, split, rebuild_index)
        self.experiment = experiment
        self.metainfo['dataset'] = f'vot_{experiment}'

    def __getitem__(self, index):
        sequence = super().__getitem__(index)
        regions = self._read_regions(self._index[index])
        regions = regions if self.experiment == 'baseline' else None
        return replace(sequence, dataset=self.metainfo['dataset'], regions=regions)

    def _find(self, tree):
        entries = []
        for name in read_list(tree, 'list.txt'):
            video = f'{name}/color' if tree.is_folder(f'{name}/color') else name
            entries.append(Entry(name, f'{name}/groundtruth.txt', video))
        return entries

    def _read_boxes(self, entry):
        points = self._read_regions(entry)
        low, high = points.min(1), points.max(1)
        return np.hstack([low, high - low])

    def _read_regions(self, entry):
        """Corners (M, K, 2) of the annotated regions."""
        where = self._tree.where(entry.annotation)
        text = self._tree.read(entry.annotation).decode('utf-8-sig', 'replace')
        if text.startswith('m'):
            raise DataError(f'{where} has masks, as VOT2020 and later: boxes or polygons are read')
        numbers = parse_table(text, where)
        if numbers.shape[1] == 4:
            x, y, w, h = numbers.T
            numbers = np.stack([x, y, x + w, y, x + w, y + h, x, y + h], axis=1)
        if numbers.shape[1] < 6 or numbers.shape[1] % 2 or not np.isfinite(numbers).all():
            raise DataError(f'{where} must have x,y,w,h or the corners of a polygon in each line')
        return numbers.reshape(len(numbers), -1, 2)
