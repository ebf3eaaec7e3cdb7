"""Frame sources: image files of a directory, or a video file.

``source.read(i)`` gives frame ``i`` of ``len(source)`` as BGR ``uint8`` (H, W, 3) and
``source.where(i)`` its printable path. Other processes may get copies; one thread reads a video.
"""

import os
import re
from dataclasses import dataclass, replace

import cv2

from mmlite.errors import DataError
from mmlite.utils import IMAGE_SUFFIXES

from ..formats.images import decode_image

VIDEO_SUFFIXES = ('.mp4', '.avi', '.mov', '.mkv', '.webm', '.m4v', '.mpg', '.mpeg')
_GRAB_AHEAD = 64  # up to this many frames, decoding and dropping is faster than seeking


@dataclass(frozen=True, slots=True)
class FrameNames:
    """File names of the frames of a video, stored as a rule where they are counted up."""

    first: int  # number in the first name
    count: int
    digits: int  # width to which numbers are padded with zeros
    prefix: str
    suffix: str
    listed: tuple = ()  # the names themselves, where they follow no such rule

    @classmethod
    def of(cls, names):
        prefix, number, suffix = _split(names[0])
        rule = cls(int(number), len(names), len(number), prefix, suffix)
        return rule if list(rule) == list(names) else replace(rule, listed=tuple(names))

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if not 0 <= index < self.count:
            raise IndexError(f'frame {index} of {self.count}')
        if self.listed:
            return self.listed[index]
        return f'{self.prefix}{self.first + index:0{self.digits}d}{self.suffix}'


class ImageFrames:
    """Frames that are image files ``names`` of a directory of a :class:`~.storage.Tree`.

    Grey and 16-bit images are converted to BGR ``uint8``; an EXIF orientation is applied.
    """

    def __init__(self, tree, folder, names):
        self._tree, self._folder, self._names = tree, folder, names

    def __len__(self):
        return len(self._names)

    def read(self, index):
        path = self._path(index)
        content = self._tree.read(path)
        try:
            return decode_image(content)
        except DataError as error:
            raise DataError(f'image {self._tree.where(path)} cannot be read: {error}') from error

    def where(self, index):
        return self._tree.where(self._path(index))

    def _path(self, index):
        return f'{self._folder}/{self._names[index]}'.lstrip('/')


class VideoFrames:
    """Frames of a video file, read by OpenCV.

    OpenCV seeks by time. Where that would miss a frame, e.g. at a variable frame rate, frames are
    decoded in order, and a jump back starts from the first.

    Without a ``count``, all frames are decoded to count them: headers are often wrong. ``seekable``
    says whether the time of each frame gives its number, and is found out along with it.
    """

    def __init__(self, path, count=None, seekable=True):
        self._path, self._count, self.seekable = str(path), count, seekable
        self._close()
        if count is None:
            capture = self._open()
            numbers = [_number(capture) for _ in iter(capture.grab, False)]
            self._count, self.seekable = len(numbers), numbers == list(range(len(numbers)))
            self._close()
            if not self._count:
                raise DataError(f'{self._path} has no frame that can be decoded')

    def __len__(self):
        return self._count

    def read(self, index):
        if not 0 <= index < self._count:
            raise IndexError(f'frame {index} of {self._count}')
        capture = self._open()
        if self.seekable and not self._next <= index <= self._next + _GRAB_AHEAD:
            capture.set(cv2.CAP_PROP_POS_FRAMES, index)
            self._next = index
        elif index < self._next:
            self._close()
            capture = self._open()
        decoded = all(capture.grab() for _ in range(index - self._next))
        decoded, image = capture.read() if decoded else (False, None)
        if self.seekable and (not decoded or _number(capture) != index):  # the seek missed it
            self._close()
            self.seekable = False
            return self.read(index)
        if not decoded:
            self._close()
            raise DataError(f'{self.where(index)} cannot be decoded')
        self._next = index + 1
        return image

    def where(self, index):
        return f'{self._path}, frame {index}'

    def _open(self):
        if self._process != os.getpid():  # a decoder cannot be shared with a forked process
            capture = cv2.VideoCapture(self._path)
            if not capture.isOpened():
                missing = not os.path.isfile(self._path)
                problem = 'missing' if missing else 'not a video that OpenCV can read'
                raise DataError(f'{self._path} is {problem}')
            self._capture, self._process, self._next = capture, os.getpid(), 0
        return self._capture

    def _close(self):
        self._capture, self._process, self._next = None, None, 0

    def __getstate__(self):
        return {'_path': self._path, '_count': self._count, 'seekable': self.seekable}

    def __setstate__(self, state):
        self._close()
        self.__dict__.update(state)


def _number(capture):
    """Number of the frame that was decoded last, by its time at a constant frame rate."""
    return round(capture.get(cv2.CAP_PROP_POS_MSEC) * capture.get(cv2.CAP_PROP_FPS) / 1000)


def sort_frames(names, where):
    """Images among ``names``, sorted by the numbers at the end of their stems, and these."""
    numbered = {}
    for name in names:
        if not name.lower().endswith(IMAGE_SUFFIXES):
            continue
        number = _split(name)[1]
        if not number:
            raise DataError(
                f"frame '{where}/{name}' has no number at the end of its name, such as 00000001.jpg"
            )
        if int(number) in numbered:
            twins = ' and '.join(sorted([numbered[int(number)], name]))
            raise DataError(f"directory '{where}' has two frames of number {int(number)}: {twins}")
        numbered[int(number)] = name
    if not numbered:
        raise DataError(f"directory '{where}' has no frames ({', '.join(IMAGE_SUFFIXES)})")
    numbers = sorted(numbered)
    return [numbered[number] for number in numbers], numbers


def _split(name):
    """Prefix, digits and suffix of a file name; no digits where its stem does not end in one."""
    return re.fullmatch(r'(.*?)(\d*)(\.[^.]*)', name).groups()
