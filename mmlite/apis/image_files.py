"""Drawn images, label maps and one JSON file with a line for each image."""

import json
from contextlib import contextmanager

from mmlite.errors import OutputError
from mmlite.utils import encode_jpeg, encode_png, write_bytes


class ResultFiles:
    """Writes results as they come: an interrupted run leaves valid JSON, too.

    ``predictions.json`` holds an object: the header, ``images``, a list with the record of each
    image, and ``unreadable``, a list of sentences.

    Args:
        directory (Path): Is made if needed.
        header (dict): First entries of the JSON file.

    Attributes:
        written (list[Path]): Files so far.
    """

    def __init__(self, directory, header):
        self._directory = directory
        self._path = directory / 'predictions.json'
        self.written = [self._path]
        self._separator = '\n'
        with self._named_errors():
            directory.mkdir(parents=True, exist_ok=True)
            self._stream = self._path.open('w', encoding='utf-8')
            self._stream.write(json.dumps(header)[:-1] + ', "images": [')

    def add(self, images, record):
        """Write the record of an input and its images.

        Args:
            images (dict[str, ndarray]): Path below the directory, ending in ``.jpg`` or ``.png`` ->
                RGB uint8 (H, W, 3) or grey (H, W).
            record (dict): For the JSON file.
        """
        for name, image in images.items():
            path = self._directory / name
            is_png = path.suffix == '.png'
            write_bytes(path, encode_png(image) if is_png else encode_jpeg(image, quality=92))
            self.written.append(path)
        with self._named_errors():
            self._stream.write(self._separator + json.dumps(dict(record, files=list(images))))
        self._separator = ',\n'

    def close(self, unreadable):
        """End the JSON file with the sentences about images that could not be read."""
        with self._named_errors(), self._stream:
            self._stream.write(f'\n], "unreadable": {json.dumps(unreadable)}}}\n')

    @contextmanager
    def _named_errors(self):
        try:
            yield
        except OSError as error:
            raise OutputError(f'cannot write {self._path}: {error.strerror}') from error
