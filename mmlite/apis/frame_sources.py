"""Sources of frames: a video file, a directory, a pattern of file names, or a camera."""

import glob
import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2

from mmlite.datasets.sot.frames import ImageFrames, sort_frames
from mmlite.datasets.sot.storage import Tree
from mmlite.errors import DataError, UserError


@dataclass
class FrameSource:
    """A video: pairs of a printable place and the frame, BGR uint8 (H, W, 3).

    A :class:`DataError` takes the place of a frame that cannot be read.
    """

    name: str
    frames: Iterator
    count: int | None = None  # number of frames, if known
    exact: bool = False  # whether the count is sure: headers of video files may be wrong
    fps: float | None = None  # if known
    live: bool = False  # whether it never ends


def open_source(source):
    """Open a :class:`FrameSource`.

    Args:
        source (str | Path | int): A video file; a directory of frames, or one with frames in its
            subdirectory ``img``; a pattern such as ``'clip/*.jpg'``; or the index of a camera.
    """
    text = str(source)
    if text.isdecimal() and not Path(text).exists():
        return _open_capture(int(text))
    path = Path(text).expanduser()
    if path.is_dir():
        return _open_images(path / 'img' if (path / 'img').is_dir() else path)
    if path.is_file():
        return _open_capture(path)
    if glob.has_magic(text):
        files = [Path(file) for file in glob.glob(str(path)) if Path(file).is_file()]
        directories = {file.parent for file in files}
        if len(directories) != 1:
            problem = f'files of {len(directories)} directories' if directories else 'no file'
            raise UserError(f'{text} matches {problem}: give the frames of one video')
        return _open_images(directories.pop(), [file.name for file in files])
    raise UserError(
        f'{text} does not exist: give a video file, a directory of frames, a pattern such as '
        "'clip/*.jpg', or the index of a camera"
    )


def _open_images(directory, names=None):
    """Image files in the order of the numbers in their names, by default all of the directory."""
    tree = Tree(directory)
    names, _ = sort_frames(tree.files('') if names is None else names, directory)
    absolute = Path(os.path.abspath(directory))
    name = absolute.parent.name if absolute.name == 'img' else absolute.name
    images = ImageFrames(tree, '', names)

    def read():
        for index in range(len(names)):
            try:
                frame = images.read(index)
            except DataError as error:
                frame = error
            yield images.where(index), frame

    return FrameSource(name, read(), len(names), exact=True)


def _open_capture(source):
    """A video file from its first frame on, or a camera until it is unplugged, read by OpenCV."""
    live = isinstance(source, int)
    name = f'camera{source}' if live else source.stem
    capture = cv2.VideoCapture(source if live else str(source))
    if not capture.isOpened():
        if live:
            raise DataError(f'camera {source} cannot be opened: is it connected, and free?')
        raise DataError(f'{source} is not a video that OpenCV can read')
    fps = capture.get(cv2.CAP_PROP_FPS) or None
    count = None if live else max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT))) or None

    def read():
        for number in itertools.count():
            place = f'{name if live else source}, frame {number}'
            decoded, frame = capture.read()
            if not decoded:
                break
            yield place, frame
        if live:
            yield place, DataError(f'{place} did not arrive')
        elif not number or number + 1 < (count or 0):  # headers may be wrong by one
            yield place, DataError(f'{place} of {count} and those after it cannot be decoded')

    return FrameSource(name, read(), count, fps=fps, live=live)
