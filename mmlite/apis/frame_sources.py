"""Where frames come from: a video file, a folder, a pattern of file names, or a camera.

A source has ``name``; ``count``, the number of frames or None, and ``exact``, whether that is
sure; ``fps`` or None; and ``live``, whether it never ends. Iterating gives pairs of a printable
place and the frame, BGR uint8 (H, W, 3), or the :class:`DataError` that says why it cannot be read.
"""

import glob
from pathlib import Path

import cv2

from mmlite.datasets.sot.frames import ImageFrames, sort_frames
from mmlite.datasets.sot.storage import Tree
from mmlite.errors import DataError, UserError


def open_source(source):
    """Open a source of frames.

    Args:
        source (str | Path | int): A video file; a folder of frames, or a folder with frames in
            ``img``; a pattern such as ``'clip/*.jpg'``; or the index of a camera, e.g. 0.

    Returns:
        ImageSource | VideoSource | CameraSource: See the module.

    Raises:
        UserError: If there is no such thing.
        DataError: If it cannot be opened or has no frames.
    """
    text = str(source)
    if text.isdecimal() and not Path(text).exists():
        return CameraSource(int(text))
    path = Path(text).expanduser()
    if path.is_dir():
        inner = path / 'img'
        return ImageSource(_video_name(path), inner if inner.is_dir() else path)
    if path.is_file():
        return VideoSource(path)
    if glob.has_magic(text):
        files = [Path(file) for file in glob.glob(str(path)) if Path(file).is_file()]
        folders = {file.parent for file in files}
        if len(folders) != 1:
            problem = f'files of {len(folders)} folders' if folders else 'no file'
            raise UserError(f'{text} matches {problem}: give the frames of one video')
        (folder,) = folders
        return ImageSource(_video_name(folder), folder, [file.name for file in files])
    raise UserError(
        f'{text} does not exist: give a video file, a folder of frames, a pattern such as '
        "'clip/*.jpg', or the index of a camera"
    )


def _video_name(folder):
    """Name of the video in a folder; data sets keep frames in ``<video>/img``."""
    folder = folder.resolve()
    return folder.parent.name if folder.name == 'img' else folder.name


class ImageSource:
    """Image files of one folder, in the order of the numbers in their names.

    Args:
        name (str): Of the video.
        folder (Path): Where they are.
        names (list[str], optional): Files. Defaults to all images of the folder.
    """

    fps = None
    exact, live = True, False

    def __init__(self, name, folder, names=None):
        tree = Tree(folder)
        names, _ = sort_frames(tree.files('') if names is None else names, folder)
        self.name = name
        self._frames = ImageFrames(tree, '', names)
        self.count = len(names)

    def __iter__(self):
        for index in range(self.count):
            try:
                frame = self._frames.read(index)
            except DataError as error:
                frame = error
            yield self._frames.where(index), frame


class VideoSource:
    """A video file, read by OpenCV from its first frame on.

    Args:
        path (Path): The file. ``count`` is what its header says.
    """

    exact, live = False, False

    def __init__(self, path):
        self.name = path.stem
        self._path = path
        self._capture = cv2.VideoCapture(str(path))
        if not self._capture.isOpened():
            raise DataError(f'{path} is no video that OpenCV can read')
        self.fps = self._capture.get(cv2.CAP_PROP_FPS) or None
        count = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.count = count if count > 0 else None

    def __iter__(self):
        number = 0
        while True:
            decoded, frame = self._capture.read()
            if not decoded:
                break
            yield f'{self._path}, frame {number}', frame
            number += 1
        self._capture.release()
        # headers may be wrong by one
        if not number or number + 1 < (self.count or 0):
            place = f'{self._path}, frame {number}'
            yield place, DataError(f'{place} of {self.count} and those after it cannot be decoded')


class CameraSource:
    """Frames of a camera, until it is taken away.

    Args:
        index (int): Its number.
    """

    count = None
    exact, live = False, True

    def __init__(self, index):
        self.name = f'camera{index}'
        self._capture = cv2.VideoCapture(index)
        if not self._capture.isOpened():
            raise DataError(f'camera {index} cannot be opened: is it there, and free?')
        self.fps = self._capture.get(cv2.CAP_PROP_FPS) or None

    def __iter__(self):
        number = 0
        try:
            while True:
                decoded, frame = self._capture.read()
                place = f'{self.name}, frame {number}'
                yield place, frame if decoded else DataError(f'{place} did not come')
                if not decoded:
                    return
                number += 1
        finally:
            self._capture.release()
