"""LaSOT (Fan et al., CVPR 2019, arXiv 1809.07845) and its extension (IJCV 2021)."""

import os

from mmlite.errors import DataError
from mmlite.registry import DATASETS

from .annotations import has_area, read_list
from .base import SequenceDataset
from .index import Entry

_LISTS = {'train': 'training_set.txt', 'test': 'testing_set.txt'}
_LENGTHS = {'monkey-17': 2260}  # annotated frames, where some copies have more


class _LaSOTLayout(SequenceDataset):
    """``<class>/<class>-<n>/{img/00000001.jpg, groundtruth.txt, full_occlusion.txt, ...}``."""

    protocol = 'lasot'
    wrappers = ()  # directories that some releases put above the classes

    def __init__(self, data_root, split, rebuild_index=False, **options):
        inner = (os.path.join(data_root, name) for name in self.wrappers)
        self._given_root = str(data_root)
        data_root = next(filter(os.path.isdir, inner), data_root)
        super().__init__(data_root, split, rebuild_index, **options)

    def _watched(self):
        return ['', *self._tree.folders('')]

    def _find(self):
        entries = []
        for name in self._names():
            folder = f'{name.rpartition("-")[0]}/{name}'
            last = _LENGTHS.get(name)
            entries.append(Entry(name, f'{folder}/groundtruth.txt', f'{folder}/img', last=last))
        return entries

    def _names(self):
        """Sequences of all class directories; other directories are ignored."""
        return [
            name
            for label in self._tree.folders('')
            for name in sorted(self._tree.folders(label), key=_by_number)
            if name.rpartition('-')[0] == label
        ]

    def _annotate(self, entry, boxes):
        visible = has_area(boxes)
        for name in ('full_occlusion.txt', 'out_of_view.txt'):
            path = entry.annotation.replace('groundtruth.txt', name)
            visible &= self._labels(path, boxes) == 0
        return visible, None


@DATASETS.register_module()
class LaSOTDataset(_LaSOTLayout):
    """LaSOT: 1,400 videos of 70 classes with 3.5 million frames, 1,120 to train and 280 to test.

    Official layout, below ``LaSOTBenchmark`` or not; classes or sequences may be archives::

        data_root/
            training_set.txt, testing_set.txt      one sequence a line, as in LaSOT's toolkit
            airplane/airplane-1/
                img/00000001.jpg, 00000002.jpg, ...
                groundtruth.txt                    a line x,y,w,h a frame
                full_occlusion.txt                 0,0,1,...
                out_of_view.txt                    0,0,0,...

    The target is visible where it is neither fully occluded nor out of view and has a box of
    positive size; other boxes are legal, zeros included.

    Args (others, attributes and errors as in :class:`~.base.SequenceDataset`):
        split (str): ``'train'``, ``'test'`` (protocol II), the default, or ``'all'`` for every
            sequence directory (protocol I).
        list_file (str, optional): List of the sequences in place of that of the split.
    """

    dataset = 'lasot'
    splits = ('train', 'test', 'all')
    layout = 'the class directories of LaSOT (airplane, ...)'
    wrappers = ('LaSOTBenchmark',)

    def __init__(self, data_root, split='test', list_file=None, rebuild_index=False):
        super().__init__(data_root, split, rebuild_index, list_file=list_file)

    def _watched(self):
        file = self._list_file()
        return super()._watched() + ([os.path.abspath(file)] if file else [])

    def _names(self):
        file = self._list_file()
        return read_list(file) if file else super()._names()

    def _list_file(self):
        given = self._options['list_file']
        if given or self.split == 'all':
            return given
        name = _LISTS[self.split]
        for folder in (self._tree.root, self._given_root):
            if os.path.isfile(os.path.join(folder, name)):
                return os.path.join(folder, name)
        raise DataError(
            f"'{self._tree.root}' has no {name}: copy it from LaSOT's toolkit, or set list_file to "
            f'a list of the sequences'
        )


@DATASETS.register_module()
class LaSOTExtDataset(_LaSOTLayout):
    """The extension of LaSOT: 150 videos of 15 other classes, all for testing (protocol III).

    Layout, arguments and errors as of :class:`LaSOTDataset`, but without lists: the only split,
    ``'test'``, has all sequences. A directory ``LaSOT_extension_subset`` around them is fine.
    """

    dataset = 'lasot_ext'
    splits = ('test',)
    layout = 'the class directories of the LaSOT extension (atv, ...)'
    wrappers = ('LaSOT_extension_subset', 'LaSOTBenchmark')

    def __init__(self, data_root, split='test', rebuild_index=False):
        super().__init__(data_root, split, rebuild_index)


def _by_number(name):
    label, _, number = name.rpartition('-')
    return label, int(number) if number.isdigit() else -1
