"""Own data: a folder of frames or a video, and a text file of boxes."""

import os

from mmlite.errors import DataError
from mmlite.registry import DATASETS

from .annotations import read_list
from .base import SequenceDataset
from .frames import IMAGE_ENDINGS, VIDEO_ENDINGS
from .index import Entry

_INNER = ('', 'img', 'frames', 'images')  # where the frames of a sequence may be
_BOXES = 'groundtruth.txt'


@DATASETS.register_module()
class FrameFolderDataset(SequenceDataset):
    """Sequences of your own: for each a folder of frames, or a video, and ``groundtruth.txt``.

    Layout::

        data_root/
            my_cat/
                groundtruth.txt                    a line x,y,w,h a frame
                0001.jpg, 0002.jpg, ...            or in img/, frames/ or images/
            my_dog/
                groundtruth.txt
                dog.mp4                            the only video of the folder

    ``x, y`` is the top-left corner of the box in pixels, ``w, h`` its size, by commas, tabs or
    spaces. A frame where the target is absent has zeros or ``nan`` for all four. To track without
    scoring, the first box alone is enough; to train, every frame needs its line. Frames
    (``.jpg``, ``.png``, ...) are sorted by the number at the end of their names, in which gaps are
    fine. ``data_root`` may also be a single such sequence. A sequence of frames may be a zip
    archive (``my_cat.zip``). Folders with neither frames nor boxes are left out. Frames of the
    videos are counted by decoding them once.

    Args:
        data_root (str): See above.
        split (str): Only a name, for logs. Defaults to ``'all'``.
        list_file (str, optional): A list of the sequences to use, one a line, such as those to
            train with. Defaults to all, by name.
        rebuild_index (bool): Defaults to False: for these data, frames added or taken away are
            seen without. Further see :class:`~mmlite.datasets.sot.base.SequenceDataset`, also for
            attributes and errors.
    """

    dataset = 'frames'
    protocol = 'lasot'
    splits = ('train', 'val', 'test', 'all')
    layout = 'a folder for each sequence'
    nan_legal = True
    first_only = splits

    def __init__(self, data_root, split='all', list_file=None, rebuild_index=False):
        self._list_file = list_file
        super().__init__(data_root, split, rebuild_index, list_file=list_file)

    def _watched(self):
        folders = [f'{name}/{inner}'.strip('/') for name in self._names() for inner in _INNER]
        videos = [video for name in self._names() for video in self._videos(name)]
        given = [os.path.abspath(self._list_file)] if self._list_file else []
        return ['', *folders, *videos, *given]

    def _find(self):
        return [self._entry(name) for name in self._names() if self._is_sequence(name)]

    def _names(self):
        if self._list_file:
            return read_list(self._list_file)
        if _BOXES in self._tree.files(''):
            return ['']
        return self._tree.folders('')

    def _entry(self, name):
        boxes = f'{name}/{_BOXES}'.lstrip('/')
        shown = name or os.path.basename(os.path.abspath(self.data_root))
        try:
            return Entry(shown, boxes, self._video(name), gaps=True)
        except DataError as error:
            return Entry(shown, boxes, None, fault=str(error))

    def _video(self, name):
        """Folder of the frames of a sequence, or its video file."""
        for inner in _INNER:
            folder = f'{name}/{inner}'.strip('/')
            if self._tree.is_folder(folder) and self._ending_in(folder, IMAGE_ENDINGS):
                return folder
        videos = self._videos(name)
        if len(videos) != 1:
            problem = f'{len(videos)} videos' if videos else 'neither frames nor a video'
            raise DataError(f"sequence '{self._tree.where(name)}' has {problem}")
        return videos[0]

    def _videos(self, name):
        if not self._tree.is_folder(name):
            return []
        return [f'{name}/{file}'.lstrip('/') for file in self._ending_in(name, VIDEO_ENDINGS)]

    def _is_sequence(self, name):
        """Whether a folder was meant as one: it is in the list, or has boxes, frames or a video."""
        if self._list_file or _BOXES in self._tree.files(name):
            return True
        return not self._entry(name).fault

    def _ending_in(self, folder, endings):
        return [file for file in self._tree.files(folder) if file.lower().endswith(endings)]
