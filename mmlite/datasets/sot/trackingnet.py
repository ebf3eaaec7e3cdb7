"""TrackingNet (Mueller et al., ECCV 2018, arXiv 1803.10794)."""

from mmlite.errors import ArgumentError, DataError
from mmlite.registry import DATASETS

from .base import SequenceDataset
from .index import Entry

CHUNKS = 12


@DATASETS.register_module()
class TrackingNetDataset(SequenceDataset):
    """TrackingNet: 30,132 videos to train, in 12 chunks, and 511 for testing.

    Official layout::

        data_root/
            TRAIN_0/, ..., TRAIN_11/, TEST/
                anno/<video>.txt                   a line x,y,w,h a frame; TEST: the first only
                frames/<video>/0.jpg, 1.jpg, ...   or zips/<video>.zip, as downloaded

    The target is visible where its box has a positive size.

    Args (others, attributes and errors as in :class:`~.base.SequenceDataset`):
        split (str): ``'train'`` or ``'test'``, the default.
        chunks (Sequence[int], optional): The ``TRAIN_<n>`` to use. Defaults to all, 0 to 11.
    """

    dataset = 'trackingnet'
    protocol = 'trackingnet'
    splits = ('train', 'test')
    layout = 'TRAIN_0/, ..., TRAIN_11/ or TEST/ of TrackingNet'
    first_only = ('test',)

    def __init__(self, data_root, split='test', chunks=None, rebuild_index=False):
        legal = range(CHUNKS)
        used = list(legal if chunks is None else chunks)
        if not used or any(chunk not in legal for chunk in used):
            raise ArgumentError(f'chunks must be numbers from 0 to {CHUNKS - 1}, got {chunks!r}')
        if split == 'test' and chunks is not None:
            raise ArgumentError("chunks are parts of split 'train' only")
        self._folders = ['TEST'] if split == 'test' else [f'TRAIN_{chunk}' for chunk in used]
        options = None if chunks is None else used
        super().__init__(data_root, split, rebuild_index, chunks=options)

    def _watched(self):
        parts = ('', '/anno', '/frames', '/zips')
        return [folder + part for folder in self._folders for part in parts]

    def _find(self):
        entries = []
        for folder in self._folders:
            if not self._tree.is_folder(f'{folder}/anno'):
                hint = '' if self.split == 'test' else ': set chunks to the existing ones'
                raise DataError(f"'{self.data_root}' has no directory {folder}/anno{hint}")
            frames = 'frames' if self._tree.is_folder(f'{folder}/frames') else 'zips'
            for name in self._text_files(f'{folder}/anno'):
                video = f'{folder}/{frames}/{name}'
                entries.append(Entry(name, f'{folder}/anno/{name}.txt', video))
        return entries
