"""Base class of the tracking data sets."""

import hashlib
import json
import logging
import os

import numpy as np
from mmengine.logging import print_log
from torch.utils.data import Dataset

from mmlite.errors import DataError
from mmlite.utils.names import check_known

from .annotations import has_area, read_boxes
from .frames import ImageFrames, VideoFrames
from .index import load_index
from .sequence import Sequence
from .storage import Tree


def warn_of_faults(faults, of):
    """Log how many of the items ``of`` cannot be used, and why the first one cannot."""
    if faults:
        first = next(iter(faults.values()))
        text = f'{len(faults)} of {of} cannot be used; the first: {first}'
        print_log(text, 'current', logging.WARNING)


class SequenceDataset(Dataset):
    """Videos with one annotated target each; item ``i`` is a :class:`Sequence`.

    Names and lengths come from a kept index, see :mod:`mmlite.datasets.sot.index`; annotations are
    read when a sequence is requested. A subclass lists its sequences in ``_find`` and refines
    visibility in ``_annotate``. The layouts of the directories are in ``docs/data.md``.

    Args:
        data_root (str): Directory of the data set. Any directory below it may be a zip archive, see
            :class:`~mmlite.datasets.sot.storage.Tree`.
        split (str): One of ``splits``.
        rebuild_index (bool): Rebuild the index, needed after changes within the directories of
            sequences; with None no index is read or kept. Defaults to False.
        **options: Further arguments that the index depends on; ``*_file`` are paths.

    Raises:
        DataError: The data set is missing, or no sequence can be used. From an item: frames or
            annotation are incomplete, unreadable or of different lengths.

    Attributes:
        names (list[str]): Names of the sequences.
        lengths (ndarray): int64 (S,), frames of each, 0 where there is a fault.
        faults (dict[str, str]): Name -> problem, of sequences that cannot be used.
        metainfo (dict): ``dataset`` and ``protocol``, the usual definition of the metrics.
    """

    dataset = ''  # in file names and messages
    protocol = ''
    splits = ()
    layout = ''  # content of data_root, for the message if it is missing
    nan_legal = False  # whether NaN stands for an absent target in the annotation
    first_only = ()  # splits of which only the first frame is annotated

    def __init__(self, data_root, split, rebuild_index=False, **options):
        check_known(f'{type(self).__name__}: split', split, self.splits)
        self.data_root, self.split = str(data_root), split
        for key, file in options.items():
            if key.endswith('_file') and file:
                options[key] = os.path.abspath(file)
        self._options = options
        self.metainfo = {'dataset': self.dataset, 'protocol': self.protocol}
        self._tree = Tree(data_root, self.layout)
        key = f'{self.dataset}-{split}'
        if any(value is not None for value in options.values()):
            text = json.dumps(options, sort_keys=True)
            key += f'-{hashlib.sha1(text.encode()).hexdigest()[:8]}'
        self._index = load_index(self._tree, key, self._find, rebuild_index)
        self.names = [entry.name for entry in self._index]
        self.lengths = np.array([entry.length for entry in self._index], dtype=np.int64)
        self.faults = {entry.name: entry.fault for entry in self._index if entry.fault}
        warn_of_faults(self.faults, f'{len(self)} sequences of {self.dataset} ({split})')

    def __len__(self):
        return len(self._index)

    def __getitem__(self, index):
        entry = self._index[index]
        if entry.fault:
            raise DataError(entry.fault)
        boxes = self._read_boxes(entry)[entry.skip :]
        if len(boxes) != entry.length and not (len(boxes) == 1 and self.split in self.first_only):
            raise DataError(
                f'{self._tree.where(entry.annotation)} has {len(boxes)} boxes for the '
                f'{entry.length} frames of {self._tree.where(entry.video)}'
            )
        if entry.is_video:
            file = os.path.join(self._tree.root, entry.video)
            frames = VideoFrames(file, entry.length, entry.seekable)
        else:
            frames = ImageFrames(self._tree, entry.video, entry.names)
        visible, cover = self._annotate(entry, boxes)
        return Sequence(entry.name, self.dataset, frames, boxes, visible, cover)

    def __repr__(self):
        content = f'{len(self)} sequences, {self.lengths.sum()} frames'
        return f'{type(self).__name__}({self.data_root!r}, {self.split!r}, {content})'

    def _find(self, tree):
        """list[Entry]: The sequences of ``tree``, with the paths of their frames and boxes."""
        raise NotImplementedError

    def _read_boxes(self, entry):
        """Boxes (M, 4) of the annotation file of an entry."""
        return read_boxes(self._tree, entry.annotation, self.nan_legal)

    def _annotate(self, entry, boxes):
        """Visible (M,) and cover (M,) or None of an entry with ``boxes`` (M, 4)."""
        return has_area(boxes), None


def text_files(tree, folder):
    """Sorted names, without suffix, of the ``.txt`` files of a directory."""
    files = sorted(tree.files(folder))
    return [file.removesuffix('.txt') for file in files if file.endswith('.txt')]
