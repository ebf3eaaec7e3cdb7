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

        found = []
        for folder in below(''):
            inside = [folder] if tree.is_folder(f'{folder}/imgs') else below(folder)
            found += [path for path in inside if 'groundtruth.txt' in tree.files(path)]
        return [
            Entry(path.rpartition('/')[2], f'{path}/groundtruth.txt', f'{path}/imgs', gaps=True)
            for path in found
        ]
