"""Need for Speed (Galoogahi et al., ICCV 2017, arXiv 1703.05884)."""

from mmlite.registry import DATASETS

from .base import SequenceDataset
from .index import Entry


@DATASETS.register_module()
class NFSDataset(SequenceDataset):
    """NFS: 100 sequences of fast objects, in the version of 30 frames a second.

    Layout, which the literature reports on::

        data_root/
            sequences/<name>/00001.jpg, ...
            anno/nfs_<name>.txt                    a line x, y, w, h a frame, by tabs

    Where a video has more frames than boxes, the first ones are used. The target is visible where
    its box has a positive size.

    Args (others, attributes and errors as in :class:`~.base.SequenceDataset`):
        split (str): ``'test'``, the default and only one.
        range_file (str, optional): A table of lines ``sequence,video,first,last``, the numbers of
            the first and last frame of the sequence, in place of the first frames.
    """

    dataset = 'nfs'
    protocol = 'lasot'
    splits = ('test',)
    layout = 'sequences/ and anno/ of NFS'

    def __init__(self, data_root, split='test', range_file=None, rebuild_index=False):
        super().__init__(data_root, split, rebuild_index, range_file=range_file)

    def _watched(self):
        return ['anno', 'sequences', *(f'anno/{file}.txt' for file in self._text_files('anno'))]

    def _find(self):
        ranges = self._ranges()
        entries = []
        for file in self._text_files('anno'):
            name = file.removeprefix('nfs_')
            video, first, last = ranges.get(name, (name, None, None))
            boxes, frames = f'anno/{file}.txt', f'sequences/{video}'
            entries.append(Entry(name, boxes, frames, first, last, by_boxes=name not in ranges))
        return entries
