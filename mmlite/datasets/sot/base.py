"""What the tracking data sets share."""

import hashlib
import json
import logging
import os
from collections import OrderedDict

import numpy as np
from mmengine.logging import print_log
from torch.utils.data import Dataset

from mmlite.errors import ArgumentError, DataError

from .annotations import has_area, read_boxes, read_labels
from .frames import ImageFrames, VideoFrames
from .index import load_index
from .sequence import Sequence
from .storage import Tree

_RECENT = 8  # parsed sequences that are kept


def warn_of_faults(faults, of):
    """Log how many of the items that ``of`` names cannot be used, and why the first one cannot."""
    if faults:
        print_log(
            f'{len(faults)} of {of} cannot be used; the first: {next(iter(faults.values()))}',
            'current',
            logging.WARNING,
        )


class SequenceDataset(Dataset):
    """Videos with one annotated target each; item ``i`` is a :class:`Sequence`.

    Names and lengths come from an index that is kept from run to run, see
    :mod:`mmlite.datasets.sot.index`; annotations are read when a sequence is asked for, and the
    last few sequences are kept. A sequence whose frames cannot be found does not keep the others
    from use: it is logged, listed in ``faults``, has length 0, and asking for it raises.

    A subclass names its sequences in ``_find`` and, if boxes are not all there is, reads them in
    ``_annotate``.

    Args:
        data_root (str): Folder of the data set. Any folder below it may be a zip archive instead,
            see :class:`~mmlite.datasets.sot.storage.Tree`.
        split (str): One of ``splits``.
        rebuild_index (bool): Build the index anew, after changes within the folders of sequences.
            Defaults to False.
        **options: What else the index depends on.

    Raises:
        ArgumentError: If there is no such split.
        DataError: If the data set is missing, has no sequence, or none that can be used. From an
            item: if its frames are incomplete, its annotation is missing or unreadable, or they
            have different lengths; the message names the file and line.

    Attributes:
        names (list[str]): Of the sequences.
        lengths (ndarray): int64 (S,), frames of each.
        faults (dict[str, str]): Name -> what is wrong, of sequences that cannot be used.
        metainfo (dict): ``dataset`` and ``protocol``: how results on it are scored and written.
    """

    dataset = ''  # in file names and messages
    protocol = ''
    splits = ()
    layout = ''  # what data_root holds, for the message if it is missing
    nan_legal = False  # whether NaN stands for an absent target in the annotation
    first_only = ()  # splits of which only the first frame is annotated

    def __init__(self, data_root, split, rebuild_index=False, **options):
        if split not in self.splits:
            wanted = ', '.join(map(repr, self.splits))
            raise ArgumentError(
                f'{type(self).__name__}: split must be one of {wanted}, not {split!r}'
            )
        self.data_root, self.split = str(data_root), split
        self.metainfo = {'dataset': self.dataset, 'protocol': self.protocol}
        self._tree = Tree(data_root, self.layout)
        key = _key(self.dataset, split, options)
        self._index = load_index(self._tree, key, self._watched, self._find, rebuild_index)
        self._recent = OrderedDict()
        self.names = [entry.name for entry in self._index]
        self.lengths = np.array([entry.length for entry in self._index], dtype=np.int64)
        self.faults = {entry.name: entry.fault for entry in self._index if entry.fault}
        warn_of_faults(self.faults, f'{len(self)} sequences of {self.dataset} ({split})')

    def __len__(self):
        return len(self._index)

    def __getitem__(self, index):
        index = range(len(self))[index]  # IndexError, and negative ones, as for a list
        sequence = self._recent.pop(index, None)
        if sequence is None:
            sequence = self._read(self._index[index])
        self._recent[index] = sequence  # the last one, so that it goes last
        if len(self._recent) > _RECENT:
            self._recent.popitem(last=False)
        return sequence

    def __repr__(self):
        frames = int(self.lengths.sum())
        return (
            f'{type(self).__name__}(data_root={self.data_root!r}, split={self.split!r}, '
            f'{len(self)} sequences, {frames} frames)'
        )

    def _find(self):
        """list[Entry]: The sequences, with where their frames and boxes are."""
        raise NotImplementedError

    def _watched(self):
        """list[str]: List files and top folders; the index is built anew if one changes."""
        raise NotImplementedError

    def _annotate(self, entry, boxes):
        """Visible (M,) and cover (M,) or None of an entry with ``boxes`` (M, 4)."""
        return has_area(boxes), None

    def _read(self, entry):
        if entry.fault:
            raise DataError(entry.fault)
        boxes = read_boxes(self._tree, entry.annotation, self.nan_legal)[entry.skip :]
        if len(boxes) != entry.length and not (len(boxes) == 1 and self.split in self.first_only):
            raise DataError(
                f'{self._tree.where(entry.annotation)} has {len(boxes)} boxes for the '
                f'{entry.length} frames of {self._tree.where(entry.video)}'
            )
        visible, cover = self._annotate(entry, boxes)
        return Sequence(entry.name, self.dataset, self._frames(entry), boxes, visible, cover)

    def _frames(self, entry):
        if entry.is_video:
            return VideoFrames(os.path.join(self._tree.root, entry.video), entry.length)
        return ImageFrames(self._tree, entry.video, entry.names)

    def _labels(self, path, boxes, largest=1):
        """Labels (M,) of a file that goes with ``boxes`` (M, 4)."""
        labels = read_labels(self._tree, path, largest)
        if len(labels) != len(boxes):
            raise DataError(
                f'{self._tree.where(path)} has {len(labels)} labels for {len(boxes)} boxes'
            )
        return labels


def _key(dataset, split, options):
    """Name of the index; different options never share one."""
    key = f'{dataset}-{split}'
    if any(value is not None for value in options.values()):
        text = json.dumps(options, sort_keys=True, default=str)
        key += f'-{hashlib.sha1(text.encode()).hexdigest()[:8]}'
    return key
