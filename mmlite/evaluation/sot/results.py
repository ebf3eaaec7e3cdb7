"""Tracks and the files that hold them: ours, and those of other toolkits.

A results folder has one ``<sequence>.txt`` a sequence with ``x, y, w, h`` in every line, one line
a frame from the first (the box given) on, in the coordinates of the annotation files, and
``<sequence>_time.txt`` with the seconds of every frame.
"""

import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mmengine.logging import print_log

from mmlite.errors import DataError, UserError

IDENTITY = 'identity.json'

#: Data set -> what pytracking and OSTrack write before the names of its sequences.
_PREFIXES = {'nfs': 'nfs_', 'uav123': 'uav_'}


@dataclass
class Track:
    """Where a tracker saw the target of one sequence.

    Numbers are rounded to the decimals that the files have, so that a track and what is read back
    from its file get the same score.

    Args:
        name (str): The sequence.
        boxes (ndarray): float64 (N, 4): x, y, w, h in pixels, to 4 decimals; the first is the box
            that the tracker was given.
        seconds (ndarray, optional): float64 (N,) time of every frame, to 8 decimals.
        scores (ndarray, optional): float64 (N,) confidence of every frame, to 6 decimals.

    Raises:
        DataError: If the shapes do not fit together.
    """

    name: str
    boxes: np.ndarray
    seconds: np.ndarray | None = None
    scores: np.ndarray | None = None

    def __post_init__(self):
        self.boxes = np.round(np.asarray(self.boxes, np.float64), 4)
        if self.boxes.ndim != 2 or self.boxes.shape[1] != 4:
            raise DataError(f'track {self.name}: boxes have shape {self.boxes.shape}, not (N, 4)')
        for key, decimals in (('seconds', 8), ('scores', 6)):
            value = getattr(self, key)
            if value is None:
                continue
            value = np.round(np.asarray(value, np.float64), decimals)
            if value.shape != (len(self),):
                raise DataError(
                    f'track {self.name}: {len(self)} boxes, but {key} of shape {value.shape}'
                )
            setattr(self, key, value)

    def __len__(self):
        return len(self.boxes)


@dataclass(frozen=True)
class Style:
    """How numbers are written into the files of a results folder.

    Args:
        delimiter (str): Between x, y, w and h.
        box (str): Format of their numbers; whole pixels are truncated towards zero.
        seconds (str): Format of a frame's time.
    """

    delimiter: str
    box: str
    seconds: str


STYLES = {
    'comma': Style(',', '%.4f', '%.8f'),
    'integer-tab': Style('\t', '%d', '%f'),
}
"""``comma`` is read by all toolkits and keeps fractions. ``integer-tab`` gives the files that
pytracking and OSTrack write, for comparing them byte by byte; truncation costs about 0.2 AUC."""


class ResultFolder:
    """The results of one tracker with one set of weights, in style ``comma``.

    Args:
        path (str | Path): Made if it does not exist.
        identity (dict): What the results depend on, e.g. hash of the weights and settings; plain
            values that JSON can hold. Kept in ``identity.json``.

    Raises:
        UserError: If the folder holds results of something else.
    """

    def __init__(self, path, identity):
        self.path = Path(path)
        self.identity = json.loads(json.dumps(identity))
        # results first: another process of this run may be writing both, the identity earlier
        occupied = any(self.path.glob('*.txt'))
        file = self.path / IDENTITY
        if not file.is_file():
            if occupied:
                raise UserError(
                    f'{self.path} holds results, but no {IDENTITY} tells whose: give another '
                    'folder, or remove it to track again'
                )
            _write(file, json.dumps(self.identity, indent=2) + '\n')
        self._compare(file)

    def _compare(self, file):
        """Raise unless the identity in ``file`` is ours."""
        try:
            found = json.loads(file.read_text())
        except (OSError, ValueError) as error:
            raise UserError(
                f'{file} cannot be read ({error}): give another folder, or remove '
                f'{self.path} to track again'
            ) from error
        if found == self.identity:
            return
        keys = 'everything'
        if isinstance(found, dict) and isinstance(self.identity, dict):
            every = found.keys() | self.identity.keys()
            keys = ', '.join(sorted(k for k in every if found.get(k) != self.identity.get(k)))
        raise UserError(
            f'{self.path} holds results of other weights or settings (different: {keys}): give '
            'another folder, or remove it to track again'
        )

    def read(self, sequence):
        """The finished track of a sequence.

        Args:
            sequence (Sequence): Of :mod:`mmlite.datasets.sot`; its name and number of frames.

        Returns:
            Track | None: None if it was not tracked yet.

        Raises:
            DataError: If a file is damaged or of another length than the sequence.
        """
        file = self.path / f'{sequence.name}.txt'
        if not file.is_file():
            return None
        files = {
            'boxes': file,
            'seconds': _beside(file, '_time'),
            'scores': _beside(file, '_score'),
        }
        values = {
            key: read_boxes(path) if key == 'boxes' else read_column(path)
            for key, path in files.items()
            if path.is_file()
        }
        for key, value in values.items():
            if len(value) != len(sequence.frames):
                raise DataError(
                    f'{files[key]} has {len(value)} lines, but sequence {sequence.name} has '
                    f'{len(sequence.frames)} frames: remove the file to track the sequence again'
                )
        return Track(sequence.name, **values)

    def write(self, track):
        """Write a track whole or not at all.

        Args:
            track (Track): Of a finished sequence.

        Raises:
            DataError: If a box is not finite or a file cannot be written.
        """
        write_track(self.path, track)


def write_track(folder, track, style='comma'):
    """Write ``<name>.txt``, and ``_time`` and ``_score`` where the track has them.

    The boxes come last: a file of boxes stands for a finished sequence.

    Args:
        folder (str | Path): Made if it does not exist.
        track (Track): What to write.
        style (str): One of :data:`STYLES`. Defaults to ``'comma'``.

    Raises:
        DataError: If a box is not finite or a file cannot be written.
    """
    style = STYLES[style]
    file = Path(folder) / f'{track.name}.txt'
    if track.seconds is not None:
        _write(_beside(file, '_time'), format_rows(track.seconds[:, None], style.seconds))
    if track.scores is not None:
        _write(_beside(file, '_score'), format_rows(track.scores[:, None], '%.6f'))
    _write(file, format_rows(finite_boxes(track), style.box, style.delimiter))


def read_track(folder, name, frames, dataset=None):
    """Read the track of a sequence from the results folder of any toolkit.

    Looked for are ``<name>.txt``, ``<dataset>/<name>.txt``, ``uav_<name>.txt`` and
    ``nfs_<name>.txt`` (pytracking, OSTrack) and ``<name>/<name>_001.txt`` (GOT-10k's toolkit; of
    several repetitions the first). Predictions behind the last annotated frame are cut with a
    warning: some trackers give more for LaSOT's monkey-17.

    Args:
        folder (str | Path): Results of one tracker.
        name (str): The sequence.
        frames (int): Its number of frames.
        dataset (str, optional): ``metainfo['dataset']``, for the names of other toolkits.

    Returns:
        Track | None: None if there is no file of that sequence.

    Raises:
        DataError: If a file cannot be read or has fewer lines than the sequence has frames.
    """
    file = _find(Path(folder), name, dataset)
    if file is None:
        return None
    boxes = read_boxes(file)
    if len(boxes) < frames:
        raise DataError(f'{file} has {len(boxes)} boxes, but sequence {name} has {frames} frames')
    if len(boxes) > frames:
        print_log(
            f'{file} has {len(boxes)} boxes, but sequence {name} has {frames} frames: the last '
            f'{len(boxes) - frames} are not scored',
            logger='current',
            level=logging.WARNING,
        )
    times = _beside(file, '_time', file.stem.removesuffix('_001'))
    seconds = read_column(times) if times.is_file() else None
    if seconds is not None and len(seconds) != len(boxes):
        raise DataError(f'{times} has {len(seconds)} lines, but {file.name} has {len(boxes)}')
    return Track(name, boxes[:frames], None if seconds is None else seconds[:frames])


def read_boxes(path):
    """Read a file of boxes, separated by commas, tabs or spaces.

    Args:
        path (str | Path): ``x, y, w, h`` in every line, without a header.

    Returns:
        ndarray: float64 (N, 4).

    Raises:
        DataError: If the file cannot be read; names the line.
    """
    return _read_table(Path(path), 4)


def read_column(path):
    """Read a file of one number a line, e.g. times; of several columns the first.

    Args:
        path (str | Path): The file.

    Returns:
        ndarray: float64 (N,).

    Raises:
        DataError: If the file cannot be read; names the line.
    """
    return _read_table(Path(path), None)[:, 0]


def format_rows(values, number, delimiter=','):
    """Text of a table of numbers, a line each row.

    Args:
        values (ndarray): (N, K).
        number (str): Format of a number; ``'%d'`` truncates towards zero.
        delimiter (str): Between the numbers of a line. Defaults to a comma.
    """
    line = delimiter.join([number] * values.shape[1]) + '\n'
    return ''.join(line % tuple(row) for row in values.tolist())


def finite_boxes(track):
    """The boxes of a track that is to be written.

    Raises:
        DataError: If a box is NaN or infinite; names the frame.
    """
    bad = np.flatnonzero(~np.isfinite(track.boxes).all(1))
    if len(bad):
        raise DataError(f'track {track.name}: the box of frame {bad[0]} is {track.boxes[bad[0]]}')
    return track.boxes


def _find(folder, name, dataset):
    """The file with the boxes of a sequence, or None."""
    places = [f'{name}.txt', f'{name}/{name}_001.txt']
    if dataset:
        places.append(f'{dataset}/{name}.txt')
    if dataset in _PREFIXES:
        places += [f'{_PREFIXES[dataset]}{name}.txt', f'{dataset}/{_PREFIXES[dataset]}{name}.txt']
    return next((folder / place for place in places if (folder / place).is_file()), None)


def _beside(file, suffix, stem=None):
    """``<stem><suffix>.txt`` next to ``file``."""
    return file.with_name(f'{stem or file.stem}{suffix}.txt')


def _read_table(path, columns):
    """Numbers of a text file, float64 (N, K); every line has as many, ``columns`` if given."""
    try:
        lines = path.read_text().rstrip().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f'{path} cannot be read: {error}') from error
    if not lines:
        raise DataError(f'{path} is empty')
    columns = columns or len(lines[0].replace(',', ' ').split())
    rows = []
    for number, line in enumerate(lines, 1):
        words = line.replace(',', ' ').split()
        try:
            rows.append([float(word) for word in words])
        except ValueError as error:
            raise DataError(f'{path}, line {number}: {line.strip()!r} is not numbers') from error
        if len(words) != columns:
            raise DataError(f'{path}, line {number}: {len(words)} numbers, but {columns} expected')
    return np.array(rows)


def _write(path, text):
    """Write a file whole or not at all; folders are made as needed."""
    partial = path.with_name(f'.{path.name}.{os.getpid()}')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text)
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise DataError(f'cannot write {path}: {error.strerror}') from error
