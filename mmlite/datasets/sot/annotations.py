"""Text files of tracking data sets: boxes, flags, lists of names and tables of frame ranges.

Numbers are separated by commas, tabs or spaces. A file is a path of a
:class:`~mmlite.datasets.sot.storage.Tree`. All functions raise DataError, with file and line, for
files that are missing, empty or malformed.
"""

import re
from pathlib import Path

import numpy as np

from mmlite.errors import DataError


def read_boxes(tree, path, nan_legal=False):
    """Read ``x, y, w, h`` of every frame as float64 (M, 4), M >= 1; NaN only if ``nan_legal``."""
    text, where = _read(tree, path)
    boxes = parse_table(text, where, columns=4)
    legal = np.isfinite(boxes) | (np.isnan(boxes) if nan_legal else False)
    if not legal.all():
        row = int(np.argmin(legal.all(1)))
        raise _fault(where, row + 1, text.splitlines()[row], 'has a value that is not finite')
    return boxes


def read_table(path, columns=None):
    """Read a text file of numbers, of any path; see :func:`parse_table`."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f'{path} cannot be read: {error.strerror}') from error
    return parse_table(_decode(content, path), path, columns)


def parse_table(text, where, columns=None):
    """Parse lines of ``columns`` numbers, by default as many as in the first, as float64 (N, K)."""
    rows = []
    for number, line in enumerate(text.rstrip().splitlines(), 1):
        try:
            row = [float(value) for value in line.replace(',', ' ').split()]
        except ValueError:
            row = []
        columns = columns or len(row)
        if not row or len(row) != columns:
            problem = f'is not {columns} numbers' if columns else 'is not numbers'
            raise _fault(where, number, line, problem)
        rows.append(row)
    if not rows:
        raise DataError(f'{where} is empty')
    return np.array(rows, dtype=np.float64)


def read_labels(tree, path, count, largest=1):
    """Read ``count`` integers from 0 to ``largest``, in one or several lines, as int64 (M,)."""
    text, where = _read(tree, path)
    legal = {str(value) for value in range(largest + 1)}
    labels = []
    for number, line in enumerate(text.splitlines(), 1):
        row = line.replace(',', ' ').split()
        if not legal.issuperset(row):
            raise _fault(where, number, line, f'are not integers from 0 to {largest}')
        labels += row
    if len(labels) != count:
        raise DataError(f'{where} has {len(labels)} labels for {count} boxes')
    return np.array(labels, dtype=np.int64)


def read_list(tree, path):
    """Read a list of one sequence name a line; blank lines are skipped.

    Names that occur twice or leave their directory are refused: results are written under them.
    """
    names = {}
    lines, where = _read_lines(tree, path)
    for number, line in lines:
        if line in names:
            raise _fault(where, number, line, f'is on line {names[line]} already')
        parts = line.replace('\\', '/').split('/')
        if not parts[0] or re.match('[A-Za-z]:', parts[0]) or '..' in parts:
            raise _fault(where, number, line, 'leaves the directory')
        names[line] = number
    if not names:
        raise DataError(f'{where} is empty: it must name one sequence a line')
    return list(names)


def read_indices(tree, path, names):
    """Select from ``names`` by a file of distinct 0-based indices, one a line."""
    lines, where = _read_lines(tree, path)
    chosen = {}
    for number, line in lines:
        if not re.fullmatch(r'\d+', line) or int(line) >= len(names):
            problem = f'is not the index of a sequence, from 0 to {len(names) - 1}'
            raise _fault(where, number, line, problem)
        if int(line) in chosen:
            raise _fault(where, number, line, f'is on line {chosen[int(line)]} already')
        chosen[int(line)] = number
    return [names[index] for index in chosen]


def read_ranges(tree, path):
    """Read a table of lines ``sequence,video,first,last``; those that begin with # are skipped.

    Returns a dict: sequence -> directory of the video, numbers of its first and last frame.
    """
    ranges = {}
    lines, where = _read_lines(tree, path)
    for number, line in lines:
        if line.startswith('#'):
            continue
        match = re.fullmatch(r'([^\s,]+)[\s,]+([^\s,]+)[\s,]+(\d+)[\s,]+(\d+)', line)
        if not match or int(match[3]) > int(match[4]):
            raise _fault(where, number, line, 'is not sequence,video,first,last')
        if match[1] in ranges:
            raise _fault(where, number, match[1], 'is listed twice')
        ranges[match[1]] = match[2], int(match[3]), int(match[4])
    if not ranges:
        raise DataError(f'{where} is empty: it must have lines sequence,video,first,last')
    return ranges


def has_area(boxes):
    """Mask bool (M,) of finite boxes (M, 4) of positive width and height."""
    return np.isfinite(boxes).all(1) & (boxes[:, 2:] > 0).all(1)


def _read(tree, path):
    """Text and printable path of a file."""
    where = tree.where(path)
    return _decode(tree.read(path), where), where


def _decode(content, where):
    try:
        return content.decode('utf-8-sig')
    except UnicodeDecodeError as error:
        raise DataError(f'{where} is not a text file: {error}') from error


def _read_lines(tree, path):
    """Numbered lines of a file that are not blank, and its printable path."""
    text, where = _read(tree, path)
    lines = enumerate(map(str.strip, text.splitlines()), 1)
    return [(number, line) for number, line in lines if line], where


def _fault(where, number, line, problem):
    shown = line if len(line) <= 60 else line[:60] + '...'
    return DataError(f'{where}, line {number}: {shown!r} {problem}')
