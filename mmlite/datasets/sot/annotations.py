"""Text files of tracking data sets: boxes, flags, lists of names and tables of frame ranges.

Numbers may be separated by commas, tabs or spaces. Every error names the file and the line.
"""

import re
from pathlib import Path

import numpy as np

from mmlite.errors import DataError

from .storage import leaves_folder


def read_boxes(tree, path, nan_legal=False):
    """Read a ground-truth file of one line ``x, y, w, h`` a frame.

    Args:
        tree (Tree): Holds the file.
        path (str): Below the root of ``tree``.
        nan_legal (bool): Whether NaN stands for an absent target. Defaults to False.

    Returns:
        ndarray: float64 (M, 4), M at least 1, as in the file.

    Raises:
        DataError: If the file is missing or empty, a line is not four numbers, or a number is
            infinite, or NaN where that is not legal.
    """
    where = tree.where(path)
    lines = _decode(tree.read(path), where).rstrip().splitlines()
    if not lines:
        raise DataError(f'{where} is empty: one line x,y,w,h for every frame is needed')
    try:
        boxes = np.array([_numbers(line) for line in lines], dtype=np.float64)
    except ValueError:  # not numbers, or lines of different lengths
        boxes = None
    if boxes is None or boxes.shape != (len(lines), 4):
        number = next(n for n, line in enumerate(lines, 1) if not _is_box(line))
        raise DataError(
            f'{where}, line {number}: {_excerpt(lines[number - 1])} is not four numbers x,y,w,h'
        )
    legal = np.isfinite(boxes) | (np.isnan(boxes) if nan_legal else False)
    if not legal.all():
        number = int(np.argmin(legal.all(1))) + 1
        raise DataError(
            f'{where}, line {number}: {_excerpt(lines[number - 1])} has a value that is not '
            f'finite, which this data set does not use'
        )
    return boxes


def read_labels(tree, path, largest=1):
    """Read a file of one small number a frame, on a line each or all on one line.

    Args:
        tree (Tree): Holds the file.
        path (str): Below the root of ``tree``.
        largest (int): The largest legal number; the smallest is 0. Defaults to 1.

    Returns:
        ndarray: int64 (M,).

    Raises:
        DataError: If the file is missing, or has anything else in it.
    """
    where = tree.where(path)
    text = _decode(tree.read(path), where)
    legal = {str(value) for value in range(largest + 1)}
    tokens = text.replace(',', ' ').split()
    if not legal.issuperset(tokens):
        wrong = ((n, t) for n, t in _tokens(text) if t not in legal)
        number, token = next(wrong)
        raise DataError(
            f'{where}, line {number}: {_excerpt(token)} is not a number from 0 to {largest}'
        )
    return np.array(tokens, dtype=np.int64)


def read_list(path, tree=None):
    """Read a list of one name a line; blank lines are left out.

    Args:
        path (str | Path): The file.
        tree (Tree, optional): Below whose root ``path`` is. Defaults to none.

    Returns:
        list[str]: The names in the order of the file.

    Raises:
        DataError: If the file is missing, empty, has a name twice or one that leaves the folder:
            results are written under these names.
    """
    seen = {}
    lines = _lines(path) if tree is None else _split_lines(tree.read(path), tree.where(path))
    path = path if tree is None else tree.where(path)
    for number, line in lines:
        if line in seen:
            raise DataError(
                f'{path}, line {number}: {_excerpt(line)} is on line {seen[line]} already'
            )
        if leaves_folder(line):
            raise DataError(f'{path}, line {number}: {_excerpt(line)} leaves the folder')
        seen[line] = number
    if not seen:
        raise DataError(f'{path} is empty: one sequence a line is needed')
    return list(seen)


def read_indices(path, names):
    """Choose from ``names`` by a list of 0-based indices, one a line.

    Args:
        path (str | Path): The list.
        names (list[str]): What is chosen from.

    Returns:
        list[str]: The chosen names in the order of the list.

    Raises:
        DataError: If the list is missing, empty, has an index twice, or one that is not from 0 to
            ``len(names) - 1``.
    """
    chosen = read_list(path)
    for line in chosen:
        if not re.fullmatch(r'\d+', line) or int(line) >= len(names):
            raise DataError(
                f'{path}: {_excerpt(line)} is not the index of a sequence, from 0 to '
                f'{len(names) - 1}'
            )
    indices = list(map(int, chosen))
    if len(set(indices)) < len(indices):  # '7' and '007' are different lines
        raise DataError(f'{path} has an index twice')
    return [names[index] for index in indices]


def read_ranges(path):
    """Read a table of lines ``sequence,video,first,last``: which frames a sequence is made of.

    Args:
        path (str | Path): The table; lines that begin with ``#`` are left out.

    Returns:
        dict[str, tuple[str, int, int]]: Sequence -> folder of the video, numbers of its first and
        last frame as in their file names.

    Raises:
        DataError: If the table is missing, empty, has a sequence twice or another kind of line.
    """
    ranges = {}
    for number, line in _lines(path):
        if line.startswith('#'):
            continue
        match = re.fullmatch(r'([^\s,]+)[\s,]+([^\s,]+)[\s,]+(\d+)[\s,]+(\d+)', line)
        if not match or int(match[3]) > int(match[4]):
            raise DataError(
                f'{path}, line {number}: {_excerpt(line)} is not sequence,video,first,last'
            )
        if match[1] in ranges:
            raise DataError(f'{path}, line {number}: sequence {match[1]} is there already')
        ranges[match[1]] = match[2], int(match[3]), int(match[4])
    if not ranges:
        raise DataError(f'{path} is empty: lines sequence,video,first,last are needed')
    return ranges


def has_area(boxes):
    """bool (M,): Which boxes (M, 4) have a positive width and height; NaN has none."""
    return (boxes[:, 2] > 0) & (boxes[:, 3] > 0)


def _lines(path):
    """Number and text of the lines of a file that are not blank."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"list '{path}' cannot be read: {error.strerror}") from error
    return _split_lines(content, path)


def _split_lines(content, where):
    lines = enumerate(_decode(content, where).splitlines(), 1)
    return [(number, line.strip()) for number, line in lines if line.strip()]


def _decode(content, where):
    try:
        return content.decode('utf-8-sig')
    except UnicodeDecodeError as error:
        raise DataError(f'{where} is no text file: {error}') from error


def _numbers(line):
    return [float(value) for value in line.replace(',', ' ').split()]


def _is_box(line):
    try:
        return len(_numbers(line)) == 4
    except ValueError:
        return False


def _tokens(text):
    for number, line in enumerate(text.splitlines(), 1):
        for token in line.replace(',', ' ').split():
            yield number, token


def _excerpt(text, length=60):
    return repr(text if len(text) <= length else text[:length] + '...')
