"""Sources of frames: a video file, a directory, a pattern of file names, or a camera.

A source has ``name``; ``count``, the number of frames or None, and ``exact``, whether that is
sure; ``fps`` or None; and ``live``, whether it never ends. Iterating gives pairs of a printable
place and the frame, BGR uint8 (H, W, 3), or the :class:`DataError` that says why it cannot be read.
"""

import glob
import os
from pathlib import Path

import cv2

from mmlite.datasets.sot.frames import ImageFrames, sort_frames
from mmlite.datasets.sot.storage import Tree
from mmlite.errors import DataError, UserError


def open_source(source):
    """Open a source of frames.

    Args:
        source (str | Path | int): A video file; a directory of frames, or one with frames in its
            subdirectory ``img``; a pattern such as ``'clip/*.jpg'``; or the index of a camera.

    Raises:
        UserError: The source does not exist.
        DataError: It cannot be opened or has no frames.
    """
    text = str(source)
    if text.isdecimal() and not Path(text).exists():
        return CaptureSource(int(text))
    path = Path(text).expanduser()
    if path.is_dir():
        return ImageSource(path / 'img' if (path / 'img').is_dir() else path)
    if path.is_file():
        return CaptureSource(path)
    if glob.has_magic(text):
        files = [Path(file) for file in glob.glob(str(path)) if Path(file).is_file()]
        directories = {file.parent for file in files}
        if len(directories) != 1:
            problem = f'files of {len(directories)} directories' if directories else 'no file'
            raise UserError(f'{text} matches {problem}: give the frames of one video')
        return ImageSource(directories.pop(), [file.name for file in files])
    raise UserError(
        f'{text} does not exist: give a video file, a directory of frames, a pattern such as '
        "'clip/*.jpg', or the index of a camera"
    )


class ImageSource:
    """Image files of one directory, in the order of the numbers in their names.

    Args:
        directory (Path): Its name is that of the video, in ``<video>/img`` the one above.
        names (list[str], optional): Files. Defaults to all images of the directory.
    """

    fps = None
    exact, live = True, False

    def __init__(self, directory, names=None):
        tree = Tree(directory)
        names, _ = sort_frames(tree.files('') if names is None else names, directory)
        absolute = Path(os.path.abspath(directory))
        self.name = absolute.parent.name if absolute.name == 'img' else absolute.name
        self._frames = ImageFrames(tree, '', names)
        self.count = len(names)

    def __iter__(self):
        for index in range(self.count):
            try:
                frame = self._frames.read(index)
            except DataError as error:
                frame = error
            yield self._frames.where(index), frame


class CaptureSource:
    """A video file from its first frame on, or a camera until it is unplugged, read by OpenCV.

    Args:
        source (Path | int): File, whose header says ``count``; or index of a camera.
    """

    exact, count = False, None

    def __init__(self, source):
        self.live = isinstance(source, int)
        self.name = f'camera{source}' if self.live else source.stem
        self._place = self.name if self.live else source
        self._capture = cv2.VideoCapture(source if self.live else str(source))
        if not self._capture.isOpened() and self.live:
            raise DataError(f'camera {source} cannot be opened: is it connected, and free?')
        if not self._capture.isOpened():
            raise DataError(f'{source} is not a video that OpenCV can read')
        self.fps = self._capture.get(cv2.CAP_PROP_FPS) or None
        if not self.live:
            self.count = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))) or None

    def __iter__(self):
        number = 0
        try:
            while True:
                decoded, frame = self._capture.read()
                place = f'{self._place}, frame {number}'
                if not decoded:
                    break
                yield place, frame
                number += 1
        finally:
            self._capture.release()
        if self.live:
            yield place, DataError(f'{place} did not arrive')
        elif not number or number + 1 < (self.count or 0):  # headers may be wrong by one
            reason = f'{place} of {self.count} and those after it cannot be decoded'
            yield place, DataError(reason)
