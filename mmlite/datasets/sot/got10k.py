"""GOT-10k (Huang et al., TPAMI 2021, arXiv 1810.11981)."""

from mmlite.errors import ArgumentError
from mmlite.registry import DATASETS

from .annotations import has_area, read_indices, read_labels, read_list
from .base import SequenceDataset
from .index import Entry


@DATASETS.register_module()
class GOT10kDataset(SequenceDataset):
    """GOT-10k: 9,335 videos to train, 180 for validation and 180 for testing.

    The target is visible where it is not absent, its cover is above 0, and its box has a positive
    size. ``Sequence.cover / 8`` is its visible share.

    ``vot_train`` (7,086 videos) and ``vot_val`` (1,249) are parts of ``train`` without the videos
    of VOT, given by lists of 0-based indices that come with the code of many trackers. These lists
    confuse the 1-based numbers of the 1,000 videos to exclude with indices, so 890 of them remain:
    use them to repeat published training, not to claim results on VOT.

    Args (others, attributes and errors as in :class:`~.base.SequenceDataset`):
        split (str): ``'train'``, ``'val'`` (default), ``'test'``, ``'vot_train'``, ``'vot_val'``.
        index_file (str, optional): A 0-based index into the split's ``list.txt`` a line. Required
            for the VOT splits; selects a part of any other.
    """

    dataset = 'got10k'
    protocol = 'got10k'
    splits = ('train', 'val', 'test', 'vot_train', 'vot_val')
    layout = 'train/, val/ or test/ of GOT-10k'
    first_only = ('test',)

    def __init__(self, data_root, split='val', index_file=None, rebuild_index=False):
        if str(split).startswith('vot') and index_file is None:
            raise ArgumentError(f'split {split!r} needs index_file, 0-based indices into list.txt')
        super().__init__(data_root, split, rebuild_index, index_file=index_file)

    def _find(self, tree):
        top = 'train' if self.split.startswith('vot') else self.split
        names = read_list(tree, f'{top}/list.txt')
        if self._options['index_file']:
            names = read_indices(tree, self._options['index_file'], names)
        return [Entry(name, f'{top}/{name}/groundtruth.txt', f'{top}/{name}') for name in names]

    def _annotate(self, entry, boxes):
        if self.split == 'test':
            return has_area(boxes), None
        absence = read_labels(self._tree, f'{entry.video}/absence.label', len(boxes))
        cover = read_labels(self._tree, f'{entry.video}/cover.label', len(boxes), largest=8)
        return (absence == 0) & (cover > 0) & has_area(boxes), cover
