"""User data: a directory of frames or a video, and a text file of boxes."""

import os

from mmlite.errors import DataError
from mmlite.registry import DATASETS
from mmlite.utils import IMAGE_SUFFIXES

from .annotations import read_list
from .base import SequenceDataset
from .frames import VIDEO_SUFFIXES
from .index import Entry

_INNER = ('', 'img', 'frames', 'images')  # possible directories of the frames of a sequence
_BOXES = 'groundtruth.txt'


@DATASETS.register_module()
class FrameFolderDataset(SequenceDataset):
    """User data: for each sequence a directory of frames, or a video, and ``groundtruth.txt``.

    Layout; ``data_root`` may also be a single sequence, and a sequence a zip archive::

        data_root/
            my_cat/
                groundtruth.txt                    a line x,y,w,h a frame
                0001.jpg, 0002.jpg, ...            or in img/, frames/ or images/
            my_dog/
                groundtruth.txt
                dog.mp4                            the only video of the directory

    ``x, y`` is the top-left corner of the box in pixels; zeros or ``nan`` stand for an absent
    target. To track without scoring, the first box is enough. Frames are sorted by the number at
    the end of their names, in which gaps are legal.

    Args (others, attributes and errors as in :class:`~.base.SequenceDataset`):
        split (str): Only a name, for logs. Defaults to ``'all'``.
        list_file (str, optional): A list of the sequences to use, one a line. Defaults to all.
        rebuild_index (bool): Rarely needed: added or removed frames are noticed. Defaults to False.
    """

    dataset = 'frames'
    protocol = 'lasot'
    splits = ('train', 'val', 'test', 'all')
    layout = 'a directory for each sequence'
    nan_legal = True
    first_only = splits

    def __init__(self, data_root, split='all', list_file=None, rebuild_index=False):
        super().__init__(data_root, split, rebuild_index, list_file=list_file)

    def _watched(self):
        folders = [f'{name}/{inner}'.strip('/') for name in self._names() for inner in _INNER]
        return ['', *folders, *(video for name in self._names() for video in self._videos(name))]

    def _find(self):
        entries = []
        for name in self._names():
            boxes = f'{name}/{_BOXES}'.lstrip('/')
            shown = name or os.path.basename(os.path.abspath(self.data_root))
            try:
                entries.append(Entry(shown, boxes, self._video(name), gaps=True))
            except DataError as error:  # not a sequence, unless it is listed or has boxes
                if self._options['list_file'] or _BOXES in self._tree.files(name):
                    entries.append(Entry(shown, boxes, None, fault=str(error)))
        return entries

    def _names(self):
        if self._options['list_file']:
            return read_list(self._options['list_file'])
        return [''] if _BOXES in self._tree.files('') else self._tree.folders('')

    def _video(self, name):
        for inner in _INNER:
            folder = f'{name}/{inner}'.strip('/')
            if self._tree.is_folder(folder) and self._ending_in(folder, IMAGE_SUFFIXES):
                return folder
        videos = self._videos(name)
        if len(videos) != 1:
            problem = f'{len(videos)} videos' if videos else 'neither frames nor a video'
            raise DataError(f"sequence '{self._tree.where(name)}' has {problem}")
        return videos[0]

    def _videos(self, name):
        if not self._tree.is_folder(name):
            return []
        return [f'{name}/{file}'.lstrip('/') for file in self._ending_in(name, VIDEO_SUFFIXES)]

    def _ending_in(self, folder, suffixes):
        return [file for file in self._tree.files(folder) if file.lower().endswith(suffixes)]
