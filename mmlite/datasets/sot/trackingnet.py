"""TrackingNet (Mueller et al., ECCV 2018, arXiv 1803.10794)."""

from mmlite.errors import ArgumentError, DataError
from mmlite.registry import DATASETS

from .base import SequenceDataset
from .index import Entry

CHUNKS = 12


@DATASETS.register_module()
class TrackingNetDataset(SequenceDataset):
    """TrackingNet: 30,132 videos to train, in 12 chunks, and 511 for testing.

    Layout, the official one::

        data_root/
            TRAIN_0/, ..., TRAIN_11/, TEST/
                anno/<video>.txt                   a line x,y,w,h a frame; TEST: the first only
                frames/<video>/0.jpg, 1.jpg, ...   or zips/<video>.zip, as downloaded

    Every file in ``anno/`` is a sequence. Frames are sorted by number. The target is visible where
    its box has a positive size.

    Args:
        data_root (str): See above.
        split (str): ``'train'`` or ``'test'``, the default.
        chunks (Sequence[int], optional): Which ``TRAIN_<n>`` to use. Defaults to all, 0 to 11.
        rebuild_index (bool): See :class:`~mmlite.datasets.sot.base.SequenceDataset`, also for
            attributes and errors. Defaults to False.

    Raises:
        ArgumentError: If a chunk is not a number from 0 to 11, there are none, or the split is
            ``'test'``.
    """

    dataset = 'trackingnet'
    protocol = 'trackingnet'
    splits = ('train', 'test')
    layout = 'TRAIN_0/, ..., TRAIN_11/ or TEST/ of TrackingNet'
    first_only = ('test',)

    def __init__(self, data_root, split='test', chunks=None, rebuild_index=False):
        legal = range(CHUNKS)
        self._chunks = list(legal if chunks is None else chunks)
        if not self._chunks or any(chunk not in legal for chunk in self._chunks):
            raise ArgumentError(
                f'TrackingNetDataset: chunks must be numbers from 0 to {CHUNKS - 1}, got {chunks!r}'
            )
        if split == 'test' and chunks is not None:
            raise ArgumentError("TrackingNetDataset: chunks are parts of split 'train' only")
        options = None if chunks is None else self._chunks
        super().__init__(data_root, split, rebuild_index, chunks=options)

    @property
    def _folders(self):
        return ['TEST'] if self.split == 'test' else [f'TRAIN_{chunk}' for chunk in self._chunks]

    def _watched(self):
        kinds = ('anno', 'frames', 'zips')
        return [path for top in self._folders for path in (top, *(f'{top}/{k}' for k in kinds))]

    def _find(self):
        return [entry for folder in self._folders for entry in self._find_in(folder)]

    def _find_in(self, folder):
        if not self._tree.is_folder(f'{folder}/anno'):
            hint = '' if self.split == 'test' else ': set chunks to those that are there'
            raise DataError(f"'{self.data_root}' has no folder {folder}/anno{hint}")
        frames = 'frames' if self._tree.is_folder(f'{folder}/frames') else 'zips'
        files = sorted(self._tree.files(f'{folder}/anno'))
        names = [file.removesuffix('.txt') for file in files if file.endswith('.txt')]
        return [
            Entry(name, f'{folder}/anno/{name}.txt', f'{folder}/{frames}/{name}') for name in names
        ]
