"""Frame sources: what a video is read from.

A frame source has ``len(source)`` frames, ``source.read(i)`` gives frame ``i`` as BGR ``uint8``
(H, W, 3), and ``source.where(i)`` its printable path. It can be copied into other processes; within
one, a video is read by one thread at a time.
"""

import os
import re
from dataclasses import dataclass

import cv2
import numpy as np

from mmlite.errors import DataError

from ..transforms import truncation

IMAGE_ENDINGS = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')
VIDEO_ENDINGS = ('.mp4', '.avi', '.mov', '.mkv', '.webm', '.m4v', '.mpg', '.mpeg')
_GRAB_AHEAD = 64  # frames that are decoded and dropped sooner than to look for a position


@dataclass(frozen=True, slots=True)
class FrameNames:
    """File names of the frames of a video, without a list where they are counted up.

    Args:
        first (int): Number in the first name.
        count (int): How many names.
        digits (int): To which the number is filled up with zeros.
        prefix, ending (str): What comes before and after the number.
        listed (tuple[str]): The names themselves, where they follow no such rule; defaults to
            none.
    """

    first: int
    count: int
    digits: int
    prefix: str
    ending: str
    listed: tuple = ()

    @classmethod
    def of(cls, names):
        """FrameNames: Of a list of at least one name in order."""
        prefix, number, ending = _split(names[0])
        rule = cls(int(number), len(names), len(number), prefix, ending)
        if all(rule[index] == name for index, name in enumerate(names)):
            return rule
        return cls(int(number), len(names), len(number), prefix, ending, tuple(names))

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if not 0 <= index < self.count:
            raise IndexError(f'frame {index} of {self.count}')
        if self.listed:
            return self.listed[index]
        return f'{self.prefix}{self.first + index:0{self.digits}d}{self.ending}'


class ImageFrames:
    """Frames that are image files of one folder, unpacked or in a zip archive.

    Grey and 16-bit images come as BGR ``uint8``. An orientation in the EXIF header is applied, as
    OpenCV and image viewers do.

    Args:
        tree (Tree): Holds the folder.
        folder (str): Below the root of ``tree``.
        names (FrameNames | list[str]): File names in order.
    """

    def __init__(self, tree, folder, names):
        self._tree, self._folder, self._names = tree, folder, names

    def __len__(self):
        return len(self._names)

    def read(self, index):
        """ndarray: BGR (H, W, 3) ``uint8``; DataError if the file is missing or unreadable."""
        path = self._path(index)
        return decode_image(self._tree.read(path), self._tree.where(path))

    def where(self, index):
        """str: Path of the file."""
        return self._tree.where(self._path(index))

    def _path(self, index):
        return f'{self._folder}/{self._names[index]}'.lstrip('/')


class VideoFrames:
    """Frames of a video file, read by OpenCV.

    In order they are exact. A jump relies on OpenCV's way of finding a frame, which is exact for
    videos of a constant frame rate.

    Args:
        path (str): The file.
        count (int, optional): Number of frames. Defaults to what decoding the file gives, since
            headers are often wrong about it.

    Raises:
        DataError: If the file is missing or no video.
    """

    def __init__(self, path, count=None):
        self._path = str(path)
        self._forget()
        self._count = self._decode_all() if count is None else count

    def __len__(self):
        return self._count

    def read(self, index):
        """ndarray: BGR (H, W, 3) ``uint8``; DataError if the frame cannot be decoded."""
        if not 0 <= index < self._count:
            raise IndexError(f'frame {index} of {self._count}')
        capture = self._capture()
        if not self._next <= index <= self._next + _GRAB_AHEAD:
            capture.set(cv2.CAP_PROP_POS_FRAMES, index)
            self._next = index
        decoded = all(capture.grab() for _ in range(index - self._next))
        decoded, image = capture.read() if decoded else (False, None)
        if not decoded:
            self._forget()
            raise DataError(f'{self.where(index)} cannot be decoded')
        self._next = index + 1
        return image

    def where(self, index):
        """str: Path of the file and number of the frame, counted from 0."""
        return f'{self._path}, frame {index}'

    def _capture(self):
        if self._process != os.getpid():  # a decoder cannot be shared with a forked process
            capture = cv2.VideoCapture(self._path)
            if not capture.isOpened():
                problem = 'no video that OpenCV can read'
                raise DataError(
                    f'{self._path} is {problem if os.path.isfile(self._path) else "missing"}'
                )
            self._open, self._process, self._next = capture, os.getpid(), 0
        return self._open

    def _decode_all(self):
        capture, count = self._capture(), 0
        while capture.grab():
            count += 1
        self._forget()
        if not count:
            raise DataError(f'{self._path} has no frame that can be decoded')
        return count

    def _forget(self):
        self._open, self._process, self._next = None, None, 0

    def __getstate__(self):
        return {'_path': self._path, '_count': self._count}

    def __setstate__(self, state):
        self._forget()
        self.__dict__.update(state)


def decode_image(content, where):
    """Decode an image file.

    Args:
        content (bytes): The file.
        where (str): Its path, for the message.

    Returns:
        ndarray: BGR (H, W, 3), ``uint8``, also of grey images; turned as its EXIF header says.

    Raises:
        DataError: If the image is empty, truncated or none at all.
    """
    reason = truncation(content)
    if reason is None:
        try:
            image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        except cv2.error as error:
            raise DataError(f'image {where} cannot be read: {error.err}') from error
        if image is not None:
            return image
        reason = 'it is no image that can be decoded'
    raise DataError(f'image {where} cannot be read: {reason}')


def sort_frames(names, where):
    """Image files among ``names``, sorted by the number at the end of their stem.

    ``2.jpg`` comes before ``10.jpg``, and ``frame_09.png`` before ``frame_10.png``.

    Args:
        names (Iterable[str]): File names; those that are no images are left out.
        where (str): The folder, for the message.

    Returns:
        tuple[list[str], list[int]]: Names in order, and their numbers.

    Raises:
        DataError: If there is no image, one has no number, or two have the same.
    """
    numbered = {}
    for name in names:
        if not name.lower().endswith(IMAGE_ENDINGS):
            continue
        number = _split(name)[1]
        if not number:
            raise DataError(
                f"frame '{where}/{name}' has no number at the end of its name, such as 00000001.jpg"
            )
        if int(number) in numbered:
            twins = ' and '.join(sorted([numbered[int(number)], name]))
            raise DataError(f"folder '{where}' has two frames of number {int(number)}: {twins}")
        numbered[int(number)] = name
    if not numbered:
        raise DataError(f"folder '{where}' has no frames ({', '.join(IMAGE_ENDINGS)})")
    numbers = sorted(numbered)
    return [numbered[number] for number in numbers], numbers


def missing_number(numbers):
    """The first whole number missing between the first and last of a sorted list, or None."""
    if len(numbers) == numbers[-1] - numbers[0] + 1:
        return None
    return next(want for want, have in enumerate(numbers, numbers[0]) if want != have)


def _split(name):
    """Prefix, digits and ending of a file name; no digits where its stem does not end in one."""
    return re.fullmatch(r'(.*?)(\d*)(\.[^.]*)', name).groups()
