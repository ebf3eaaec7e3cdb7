"""Need for Speed (Galoogahi et al., ICCV 2017, arXiv 1703.05884)."""

import os

from mmlite.registry import DATASETS

from .annotations import read_ranges
from .base import SequenceDataset
from .index import Entry

_PREFIX = 'nfs_'


@DATASETS.register_module()
class NFSDataset(SequenceDataset):
    """NFS: 100 sequences of fast objects, in the version of 30 frames a second.

    Layout, which the literature reports on::

        data_root/
            sequences/<name>/00001.jpg, ...
            anno/nfs_<name>.txt                    a line x, y, w, h a frame, by tabs

    Every file in ``anno/`` is a sequence, called ``<name>``. Where a video has more frames than
    boxes, the first ones are used. The target is visible where its box has a positive size.

    Args:
        data_root (str): See above.
        split (str): ``'test'``, the default and only one.
        range_file (str, optional): A table of lines ``sequence,video,first,last``, the numbers of
            the first and last frame of the sequence, in place of the first frames.
        rebuild_index (bool): See :class:`~mmlite.datasets.sot.base.SequenceDataset`, also for
            attributes and errors. Defaults to False.
    """

    dataset = 'nfs'
    protocol = 'lasot'
    splits = ('test',)
    layout = 'sequences/ and anno/ of NFS'

    def __init__(self, data_root, split='test', range_file=None, rebuild_index=False):
        self._range_file = range_file
        super().__init__(data_root, split, rebuild_index, range_file=range_file)

    def _watched(self):
        given = [os.path.abspath(self._range_file)] if self._range_file else []
        return ['anno', 'sequences', *self._annotations(), *given]

    def _find(self):
        ranges = read_ranges(self._range_file) if self._range_file else {}
        return [self._entry(file, ranges) for file in self._annotations()]

    def _annotations(self):
        files = sorted(self._tree.files('anno'))
        return [f'anno/{file}' for file in files if file.endswith('.txt')]

    def _entry(self, annotation, ranges):
        name = os.path.basename(annotation).removesuffix('.txt').removeprefix(_PREFIX)
        if name in ranges:
            video, first, last = ranges[name]
            return Entry(name, annotation, f'sequences/{video}', first, last)
        return Entry(name, annotation, f'sequences/{name}', by_boxes=True)
