"""Tracks and their files, of this suite and other toolkits.

A results directory has one ``<sequence>.txt`` a sequence with ``x, y, w, h`` of every frame in a
line, the initial box included, in the coordinates of the annotation files, and
``<sequence>_time.txt`` with the seconds of every frame.
"""

import json
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mmengine.logging import print_log

from mmlite.datasets.sot.annotations import read_table
from mmlite.errors import DataError, UserError
from mmlite.utils import write_json, write_text

IDENTITY = 'identity.json'

#: Data set -> prefix of the names of its sequences in results of pytracking and OSTrack.
_PREFIXES = {'nfs': 'nfs_', 'uav123': 'uav_'}

STYLES = {'comma': (',', '%.4f', '%.8f'), 'integer-tab': ('\t', '%d', '%f')}
"""Style -> delimiter, format of box coordinates, format of seconds.

``comma`` is read by all toolkits and keeps fractions. ``integer-tab`` gives the files that
pytracking and OSTrack write, for comparing them byte by byte; truncation costs about 0.2 AUC."""

STARTED, LOST, SKIPPED = ((*[np.nan] * 3, code) for code in (-1.0, -2.0, 0.0))
"""Rows in place of boxes where VOT starts a tracker anew, where it was lost, and in between."""


@dataclass
class Track:
    """Predicted boxes of one sequence, in float64, rounded to the decimals of the files."""

    name: str
    boxes: np.ndarray  # (N, 4): x, y, w, h in pixels, the first the initial box
    seconds: np.ndarray | None = None  # (N,)
    scores: np.ndarray | None = None  # (N,)

    def __post_init__(self):
        for key, decimals in (('boxes', 4), ('seconds', 8), ('scores', 6)):
            if getattr(self, key) is not None:
                setattr(self, key, np.round(np.asarray(getattr(self, key), float), decimals))

    def __len__(self):
        return len(self.boxes)


class ResultFolder:
    """Directory with the results of one tracker with one set of weights, in style ``comma``.

    ``identity.json`` keeps all that they depend on, a dict; another one is a UserError.
    """

    def __init__(self, path, identity):
        self.path = Path(path)
        identity = json.loads(json.dumps(identity))
        # results first: another process of this run may be writing both, the identity earlier
        occupied = any(self.path.glob('*.txt'))
        file = self.path / IDENTITY
        remedy = f'use another directory, or remove {self.path} to track again'
        if not file.is_file():
            if occupied:
                raise UserError(f'{self.path} holds results, but no {IDENTITY}: {remedy}')
            write_json(file, identity)
        try:
            found = dict(json.loads(file.read_text(encoding='utf-8')))
        except (OSError, ValueError, TypeError) as error:
            raise UserError(f'{file} cannot be read ({error}): {remedy}') from error
        every = sorted(found.keys() | identity.keys())
        if keys := [key for key in every if found.get(key) != identity.get(key)]:
            other = f'other weights or settings (different: {", ".join(keys)})'
            raise UserError(f'{self.path} holds results of {other}: {remedy}')

    def read(self, sequence):
        """Read the finished track of a sequence; None if it was not tracked yet."""
        file = self.path / f'{sequence.name}.txt'
        if not file.is_file():
            return None
        track = _read(file, sequence.name, ('_time', '_score'))
        remedy = 'remove the file to track it again'
        if len(track) != len(sequence.frames):
            frames = f'sequence {sequence.name} has {len(sequence.frames)} frames'
            raise DataError(f'{file} has {len(track)} boxes, but {frames}: {remedy}')
        if not np.allclose(track.boxes[0], sequence.boxes[0], atol=1e-3):
            other = f'another box than the annotation of sequence {sequence.name}'
            raise DataError(f'{file} begins with {other}: {remedy}')
        return track

    def write(self, track):
        write_track(self.path, track)


def write_track(folder, track, style='comma'):
    """Write ``<name>.txt`` and, where the track has them, ``<name>_time.txt`` and ``_score.txt``.

    The boxes come last: a file of boxes stands for a finished sequence.
    """
    delimiter, box, time = STYLES[style]
    stem = Path(folder, track.name)
    if track.seconds is not None:
        write_text(f'{stem}_time.txt', format_rows(track.seconds[:, None], time))
    if track.scores is not None:
        write_text(f'{stem}_score.txt', format_rows(track.scores[:, None], '%.6f'))
    write_text(f'{stem}.txt', format_rows(finite_boxes(track), box, delimiter))


def read_track(folder, name, frames, dataset=None):
    """Read the track of a sequence from the results directory of any toolkit.

    Tried are ``<name>.txt``, ``uav_<name>.txt`` and ``nfs_<name>.txt``, all three also below
    ``<dataset>/`` (pytracking, OSTrack), and ``<name>/<name>_001.txt`` (GOT-10k's toolkit; of
    several repetitions the first); None if there is no file. Predictions after the last annotated
    frame are cut with a warning: some trackers give more for LaSOT's monkey-17.
    """
    files = dict.fromkeys((f'{name}.txt', f'{_PREFIXES.get(dataset, "")}{name}.txt'))
    places = [*files, f'{name}/{name}_001.txt', *(f'{dataset}/{file}' for file in files)]
    file = next((file for place in places if (file := Path(folder, place)).is_file()), None)
    if file is None:
        return None
    track = _read(file, name, ('_time',))
    counts = f'{file} has {len(track)} boxes, but sequence {name} has {frames} frames'
    if len(track) < frames:
        raise DataError(counts)
    if len(track) > frames:
        text = f'{counts}: the last {len(track) - frames} are not scored'
        print_log(text, 'current', logging.WARNING)
    seconds = None if track.seconds is None else track.seconds[:frames]
    return Track(name, track.boxes[:frames], seconds)


def read_boxes(path):
    """Read a file of boxes ``x, y, w, h``, by commas, tabs or spaces, as float64 (N, 4)."""
    return read_table(path, columns=4)


def read_column(path):
    """Read a file of one number a line, e.g. times, as float64 (N,); of several the first."""
    return read_table(path)[:, 0]


def _read(file, name, suffixes):
    """Track in a file of boxes and those of ``suffixes`` beside it, of the same length."""
    columns = [read_boxes(file)]
    for suffix in suffixes:
        path = file.with_name(f'{file.stem.removesuffix("_001")}{suffix}.txt')
        columns.append(read_column(path) if path.is_file() else None)
        if path.is_file() and len(columns[-1]) != len(columns[0]):
            counts = f'{len(columns[-1])} lines, but {file.name} has {len(columns[0])}'
            raise DataError(f'{path} has {counts}')
    return Track(name, *columns)


def format_rows(values, number, delimiter=','):
    """Format rows of numbers (N, K) as lines; ``'%d'`` truncates towards zero."""
    line = delimiter.join([number] * values.shape[1]) + '\n'
    return ''.join(line % tuple(row) for row in values.tolist())


def finite_boxes(track):
    """The boxes of a track; DataError if one is NaN or infinite, and not one of VOT's rows."""
    special = np.isnan(track.boxes[:, :3]).all(1) & np.isfinite(track.boxes[:, 3])
    bad = np.flatnonzero(~np.isfinite(track.boxes).all(1) & ~special)
    if len(bad):
        raise DataError(f'track {track.name}: the box of frame {bad[0]} is {track.boxes[bad[0]]}')
    return track.boxes
