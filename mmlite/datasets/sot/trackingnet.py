"""TrackingNet (Mueller et al., ECCV 2018, arXiv 1803.10794)."""

from mmlite.errors import ArgumentError, DataError
from mmlite.registry import DATASETS

from .base import SequenceDataset, text_files
from .index import Entry

CHUNKS = range(12)


@DATASETS.register_module()
class TrackingNetDataset(SequenceDataset):
    """TrackingNet: 30,132 videos to train, in 12 chunks, and 511 for testing.

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
        if chunks is not None and (not chunks or not set(CHUNKS).issuperset(chunks)):
            legal = f'from 0 to {CHUNKS[-1]}'
            raise ArgumentError(f'chunks must be numbers {legal}, got {chunks!r}')
        if split == 'test' and chunks is not None:
            raise ArgumentError("chunks are parts of split 'train' only")
        super().__init__(data_root, split, rebuild_index, chunks=chunks and list(chunks))

    def _find(self, tree):
        chunks = self._options['chunks'] or CHUNKS
        entries = []
        for folder in ['TEST'] if self.split == 'test' else [f'TRAIN_{n}' for n in chunks]:
            if not tree.is_folder(f'{folder}/anno'):
                hint = '' if self.split == 'test' else ': set chunks to the existing ones'
                raise DataError(f"'{self.data_root}' has no directory {folder}/anno{hint}")
            frames = 'frames' if tree.is_folder(f'{folder}/frames') else 'zips'
            for name in text_files(tree, f'{folder}/anno'):
                video = f'{folder}/{frames}/{name}'
                entries.append(Entry(name, f'{folder}/anno/{name}.txt', video))
        return entries
