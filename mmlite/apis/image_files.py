"""What inferencers for images write: pictures, and one JSON file with a line for each image."""

import json
from contextlib import contextmanager

import cv2

from mmlite.datasets.shapes.job import write_bytes
from mmlite.errors import DataError

NAME = 'predictions.json'


class ResultFiles:
    """Writes results while they come, so that an interrupted run leaves a whole JSON file, too.

    The file holds an object: the header, ``images``, a list with the record of each image, and
    ``unreadable``, a list of sentences.

    Args:
        folder (Path | None): Where files go, None for none.
        header (dict): First entries of the JSON file.

    Attributes:
        wanted (bool): Whether anything is written.
        written (list[Path]): What was.

    Raises:
        DataError: Here and later, if a file cannot be written.
    """

    def __init__(self, folder, header):
        self.written = []
        self.wanted = folder is not None
        self._folder = folder
        self._between = '\n'
        if self.wanted:
            with _named(folder / NAME) as path:
                self._stream = path.open('w', encoding='utf-8')
            self.written.append(path)
            self._say(json.dumps(header)[:-1] + ', "images": [')

    def add(self, pictures, record):
        """Write the pictures of an image and its record.

        Args:
            pictures (dict[str, ndarray]): Path below the folder, ending in ``.jpg`` or ``.png`` ->
                grey or BGR picture.
            record (dict): For the JSON file.
        """
        for name, image in pictures.items():
            with _named(self._folder / name) as path:
                write_bytes(path, _encode(image, path.suffix))
            self.written.append(path)
        self._say(self._between + json.dumps(record))
        self._between = ',\n'

    def close(self, unreadable):
        """End the JSON file with the sentences about what could not be read."""
        if self.wanted:
            self._say(f'\n], "unreadable": {json.dumps(unreadable)}}}\n')
            self._stream.close()

    def _say(self, text):
        with _named(self._folder / NAME):
            self._stream.write(text)


@contextmanager
def _named(path):
    try:
        yield path
    except OSError as error:
        raise DataError(f'{path} cannot be written: {error.strerror}') from error


def _encode(image, ending):
    options = [cv2.IMWRITE_JPEG_QUALITY, 92] if ending == '.jpg' else []
    return cv2.imencode(ending, image, options)[1].tobytes()
