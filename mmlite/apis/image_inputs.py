"""The images that an inferencer is given: files, folders, patterns, arrays, or a list of those."""

import glob
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmlite.errors import ArgumentError, DataError, UserError
from mmlite.utils import IMAGE_SUFFIXES

ENDINGS = IMAGE_SUFFIXES
"""Of the files that are taken from a folder."""

WANTED = "an image file, a folder of images, a pattern such as 'photos/*.jpg', or an array"


@dataclass(frozen=True)
class ImageInput:
    """One image, not read yet.

    Args:
        place (str): Path, or ``'array 3'`` for the fourth of the inputs; for messages and results.
        name (str): What its results are called; no two inputs have the same.
        content (str | ndarray): Path or array.
    """

    place: str
    name: str
    content: object

    def read(self, load):
        """The image, BGR uint8 (H, W, 3).

        Args:
            load (LoadImageFromFile): Reads files.

        Raises:
            DataError: If it cannot be read; names it.
        """
        if isinstance(self.content, np.ndarray):
            return _check_array(self.content, self.place)
        if '://' not in self.content and not Path(self.content).exists():
            raise DataError(f'{self.place} does not exist: give {WANTED}')
        return load({'img_path': self.content})['img']

    @property
    def path(self):
        """str | None: Of a file; None of an array."""
        return None if isinstance(self.content, np.ndarray) else self.content


def list_images(inputs):
    """Find the images that are meant; none is read.

    Args:
        inputs (str | Path | ndarray | list): A file or URL; a folder, whose image files are taken
            in the order of their names, not those of folders in it; a pattern such as
            ``'photos/**/*.jpg'``; an array, BGR uint8 (H, W, 3); or a list of those.

    Returns:
        list[ImageInput]: At least one. A file that does not exist is among them, too.

    Raises:
        ArgumentError: If an input is anything else.
        UserError: If a pattern or the list is empty.
        DataError: If a folder has no image.
    """
    listed = inputs if isinstance(inputs, (list, tuple)) else [inputs]
    if not listed:
        raise UserError(f'the list of inputs is empty: give {WANTED}')
    found, counts, taken = [], {}, set()
    for number, item in enumerate(listed):
        for content in _expand(item, number):
            array = isinstance(content, np.ndarray)
            place = f'array {number}' if array else content
            name = _unique(f'array_{number}' if array else Path(content).stem, counts, taken)
            found.append(ImageInput(place, name, content))
    return found


def _expand(item, number):
    """Paths or arrays of one input."""
    if isinstance(item, np.ndarray):
        return [item]
    if not isinstance(item, (str, Path)):
        raise ArgumentError(f'input {number} is a {type(item).__name__}: give {WANTED}')
    text = str(item)
    if '://' in text:
        return [text]
    path = Path(text).expanduser()
    if path.is_dir():
        return _of_folder(path)
    if glob.has_magic(text) and not path.exists():
        files = sorted(
            file for file in glob.glob(str(path), recursive=True) if Path(file).is_file()
        )
        if not files:
            raise UserError(f'{text} matches no file: give {WANTED}')
        return files
    return [str(path)]


def _of_folder(folder):
    files = sorted(
        str(path)
        for path in folder.iterdir()
        if path.suffix.lower() in ENDINGS and not path.name.startswith('.') and path.is_file()
    )
    if not files:
        raise DataError(
            f'folder {folder} has no image ({", ".join(ENDINGS)}); a pattern such as '
            f"'{folder}/**/*.jpg' also finds those of folders in it"
        )
    return files


def _unique(name, counts, taken):
    """``name``, with a number behind it where another input has it, in capitals or not."""
    free = name
    while free.lower() in taken:
        counts[name] = counts.get(name, 1) + 1
        free = f'{name}_{counts[name]}'
    taken.add(free.lower())
    return free


def _check_array(array, place):
    if array.dtype != np.uint8:
        raise DataError(f'{place} is of type {array.dtype}: it should be uint8')
    if array.ndim != 3 or array.shape[2] != 3 or not array.size:
        raise DataError(f'{place} has shape {array.shape}: it should be (height, width, 3), BGR')
    return np.ascontiguousarray(array)
