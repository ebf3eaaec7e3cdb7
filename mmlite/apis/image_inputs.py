"""Inputs of an inferencer: image files, directories, patterns, arrays, or a list of those."""

import glob
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmlite.errors import ArgumentError, DataError, UserError
from mmlite.utils import IMAGE_SUFFIXES

ACCEPTED = "an image file, a directory of images, a pattern such as 'photos/*.jpg', or an array"


@dataclass(frozen=True)
class ImageInput:
    """An image that is not read yet: path or ``'array 3'``, unique stem of output files, array."""

    place: str
    name: str
    array: np.ndarray | None = None

    @property
    def is_file(self):
        """bool: Neither an array nor a URL."""
        return self.array is None and '://' not in self.place

    def read(self, load):
        """Read it, BGR uint8 (H, W, 3), a file by ``load``; a DataError names an unreadable one."""
        if self.array is None:
            if self.is_file and not Path(self.place).exists():
                raise DataError(f'{self.place} does not exist: give {ACCEPTED}')
            return load({'img_path': self.place})['img']
        dtype, shape = self.array.dtype, self.array.shape
        if dtype != np.uint8:
            raise DataError(f'{self.place} is of type {dtype}: it should be uint8')
        if len(shape) != 3 or shape[2] != 3 or not self.array.size:
            raise DataError(f'{self.place} has shape {shape}: it should be (height, width, 3), BGR')
        return np.ascontiguousarray(self.array)


def list_images(inputs):
    """Find images, at least one; none is read, and a file need not exist.

    Args:
        inputs (str | Path | ndarray | list): A file or URL; a directory, whose image files are
            taken in the order of their names, without those of its subdirectories; a pattern such
            as ``'photos/**/*.jpg'``; an array, BGR uint8 (H, W, 3); or a list of those.

    Raises:
        UserError: An input is anything else, matches nothing, or is a directory without an image.
    """
    listed = inputs if isinstance(inputs, (list, tuple)) else [inputs]
    if not listed:
        raise UserError(f'the list of inputs is empty: give {ACCEPTED}')
    found, taken = [], {}
    for number, item in enumerate(listed):
        if isinstance(item, np.ndarray):
            name = _free_name(f'array_{number}', taken)
            found.append(ImageInput(f'array {number}', name, item))
        elif isinstance(item, (str, Path)):
            for path in _expand(str(item)):
                found.append(ImageInput(path, _free_name(Path(path).stem, taken)))
        else:
            raise ArgumentError(f'input {number} is a {type(item).__name__}: give {ACCEPTED}')
    return found


def _expand(text):
    """The files that a path, URL or pattern stands for."""
    path = Path(text).expanduser()
    if '://' in text:
        return [text]
    if path.is_dir():
        files = [str(file) for file in path.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES]
        files = [file for file in files if Path(file).name[0] != '.' and Path(file).is_file()]
        if not files:
            raise DataError(
                f'directory {path} has no image ({", ".join(IMAGE_SUFFIXES)}); a pattern such as '
                f"'{path}/**/*.jpg' also finds those of its subdirectories"
            )
        return sorted(files)
    if glob.has_magic(text) and not path.exists():
        files = [file for file in glob.glob(str(path), recursive=True) if Path(file).is_file()]
        if not files:
            raise UserError(f'{text} matches no file: give {ACCEPTED}')
        return sorted(files)
    return [str(path)]


def _free_name(name, taken):
    """``name``, with a number where another input has it, in capitals or not."""
    free = name
    while free.lower() in taken:
        taken[name.lower()] += 1
        free = f'{name}_{taken[name.lower()]}'
    taken[free.lower()] = 1
    return free
