"""User data: a directory of frames or a video, and a text file of boxes."""

import os

from mmlite.errors import DataError
from mmlite.registry import DATASETS
from mmlite.utils import IMAGE_SUFFIXES

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
        rebuild_index (bool): Rarely needed: added or removed frames are noticed. Defaults to False.
    """

    dataset = 'frames'
    protocol = 'lasot'
    splits = ('train', 'val', 'test', 'all')
    layout = 'a directory for each sequence'
    nan_legal = True
    first_only = splits

    def __init__(self, data_root, split='all', rebuild_index=False):
        super().__init__(data_root, split, rebuild_index)

    def _find(self, tree):
        entries = []
        for name in [''] if _BOXES in tree.files('') else tree.folders(''):
            boxes = f'{name}/{_BOXES}'.lstrip('/')
            shown = name or os.path.basename(os.path.abspath(self.data_root))
            try:
                entries.append(Entry(shown, boxes, _find_video(tree, name), gaps=True))
            except DataError as error:  # not a sequence, unless it has boxes
                if _BOXES in tree.files(name):
                    entries.append(Entry(shown, boxes, None, fault=str(error)))
        return entries


def _find_video(tree, name):
    """Directory of the frames of a sequence, or its video file."""

    def ending_in(folder, suffixes):
        files = tree.files(folder) if tree.is_folder(folder) else []
        return [file for file in files if file.lower().endswith(suffixes)]

    for inner in _INNER:
        folder = f'{name}/{inner}'.strip('/')
        if ending_in(folder, IMAGE_SUFFIXES):
            return folder
    videos = ending_in(name, VIDEO_SUFFIXES)
    if len(videos) != 1:
        problem = f'{len(videos)} videos' if videos else 'neither frames nor a video'
        raise DataError(f"sequence '{tree.where(name)}' has {problem}")
    return f'{name}/{videos[0]}'.lstrip('/')
