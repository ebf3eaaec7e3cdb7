"""LaSOT (Fan et al., CVPR 2019, arXiv 1809.07845) and its extension (IJCV 2021)."""

import posixpath

from mmlite.errors import DataError
from mmlite.registry import DATASETS

from .annotations import has_area, read_labels, read_list
from .base import SequenceDataset
from .index import Entry

_LENGTHS = {'monkey-17': 2260}  # annotated frames, where some copies have more


@DATASETS.register_module()
class LaSOTDataset(SequenceDataset):
    """LaSOT: 1,400 videos of 70 classes with 3.5 million frames, 1,120 to train and 280 to test.

    The target is visible where it is neither fully occluded nor out of view and has a box of
    positive size; other boxes are legal, zeros included.

    Args (others, attributes and errors as in :class:`~.base.SequenceDataset`):
        split (str): ``'train'``, ``'test'`` (protocol II), the default, or ``'all'`` for every
            sequence directory (protocol I).
        list_file (str, optional): List of the sequences in place of that of the split.
    """

    dataset = 'lasot'
    protocol = 'lasot'
    splits = ('train', 'test', 'all')
    layout = 'the class directories of LaSOT (airplane, ...)'
    wrappers = ('LaSOTBenchmark',)  # directories that some releases put above the classes
    lists = {'train': 'training_set.txt', 'test': 'testing_set.txt'}  # others have all sequences

    def __init__(self, data_root, split='test', list_file=None, rebuild_index=False):
        super().__init__(data_root, split, rebuild_index, list_file=list_file)

    def _find(self, tree):
        top = next(filter(tree.is_folder, self.wrappers), '')
        file = self._options['list_file'] or self._find_list(tree, top)
        entries = []
        for name in read_list(tree, file) if file else _list_sequences(tree, top):
            folder = posixpath.join(top, name.rpartition('-')[0], name)
            boxes, last = f'{folder}/groundtruth.txt', _LENGTHS.get(name)
            entries.append(Entry(name, boxes, f'{folder}/img', last=last))
        return entries

    def _find_list(self, tree, top):
        name = self.lists.get(self.split)
        if not name:
            return None
        for folder in (top, ''):
            if name in tree.files(folder):
                return posixpath.join(folder, name)
        raise DataError(
            f"'{tree.where(top)}' has no {name}: copy it from LaSOT's toolkit, or set list_file to "
            'a list of the sequences'
        )

    def _annotate(self, entry, boxes):
        visible = has_area(boxes)
        for name in ('full_occlusion.txt', 'out_of_view.txt'):
            path = entry.annotation.replace('groundtruth.txt', name)
            visible &= read_labels(self._tree, path, len(boxes)) == 0
        return visible, None


@DATASETS.register_module()
class LaSOTExtDataset(LaSOTDataset):
    """The extension of LaSOT: 150 videos of 15 other classes, all for testing (protocol III).

    As :class:`LaSOTDataset`, but the only split, ``'test'``, has all sequences.
    """

    dataset = 'lasot_ext'
    splits = ('test',)
    layout = 'the class directories of the LaSOT extension (atv, ...)'
    wrappers = ('LaSOT_extension_subset', 'LaSOTBenchmark')
    lists = {}


def _list_sequences(tree, top):
    """Sequences of all class directories; other directories are ignored."""
    found = []
    for label in tree.folders(top):
        names = tree.folders(posixpath.join(top, label))
        names = [name for name in names if name.rpartition('-')[0] == label]
        found += sorted(names, key=lambda name: (len(name), name))  # 10 after 9
    return found
