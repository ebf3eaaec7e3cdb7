"""TNL2K (Wang et al., CVPR 2021, arXiv 2103.16746)."""

from mmlite.registry import DATASETS

from .base import SequenceDataset
from .index import Entry


@DATASETS.register_module()
class TNL2KDataset(SequenceDataset):
    """The 700 test videos of TNL2K; the sentences that describe the target are not read.

    Sequences are directories with ``groundtruth.txt`` and ``imgs/``, below ``data_root`` or one
    directory further down, as the parts of the download. The target is visible where its box has a
    positive size. Arguments, attributes and errors as in :class:`~.base.SequenceDataset`; the only
    split is ``'test'``.
    """

    dataset = 'tnl2k'
    protocol = 'lasot'
    splits = ('test',)
    layout = 'the sequence directories of TNL2K, or the parts of its download'

    def __init__(self, data_root, split='test', rebuild_index=False):
        super().__init__(data_root, split, rebuild_index)

    def _find(self, tree):
        def below(top):
            return [f'{top}/{name}'.lstrip('/') for name in tree.folders(top)]

        def is_sequence(path):
            return tree.is_folder(f'{path}/imgs') or 'groundtruth.txt' in tree.files(path)

        found = []
        for folder in below(''):
            found += [folder] if is_sequence(folder) else filter(is_sequence, below(folder))
        return [
            Entry(path.rpartition('/')[2], f'{path}/groundtruth.txt', f'{path}/imgs', gaps=True)
            for path in found
        ]
