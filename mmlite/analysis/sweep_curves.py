"""Curves from the table of a sweep: a metric over one axis, a line for all else."""

import csv
import math
from pathlib import Path

from mmlite.errors import DataError, UserError

COUNT = 'n'
MEAN = ' mean'


def read_grid(path):
    """The table that ``tools/sweep.py`` writes.

    Args:
        path (str | Path): ``grid.csv``, or the work directory of the sweep that holds it.

    Returns:
        tuple[list[str], list[str], list[dict[str, str]]]: Names of the axes, names of the metrics
        and the rows.

    Raises:
        DataError: The file is missing or is not such a table.
    """
    path = Path(path)
    file = path / 'grid.csv' if path.is_dir() else path
    if not file.is_file():
        raise DataError(f'{file} does not exist: give the work directory of a sweep')
    try:
        with open(file, newline='', encoding='utf-8') as lines:
            reader = csv.DictReader(lines)
            header, rows = list(reader.fieldnames or ()), list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f'{file} cannot be read as the table of a sweep: {error}') from error
    metrics = [name.removesuffix(MEAN) for name in header if name.endswith(MEAN)]
    if COUNT not in header or not metrics:
        raise DataError(f'{file} was not written by tools/sweep.py')
    return header[: header.index(COUNT)], metrics, rows


def sweep_curves(path, x, metric=None):
    """A metric over the values of one axis of a sweep.

    Args:
        path (str | Path): See :func:`read_grid`.
        x (str): Name of the axis, e.g. ``'blocks'``.
        metric (str, optional): Defaults to the one that the sweep compared by.

    Returns:
        tuple[str, dict[str, tuple[list[float], list[float]]]]: The metric, and for every
        combination of the other axes its x, ascending, and the means over the seeds; what is not
        finished is left out.

    Raises:
        DataError: The table cannot be read or has no finished cell.
        UserError: There is no such axis or metric, or the axis has values that are no numbers.
    """
    axes, metrics, rows = read_grid(path)
    if x not in axes:
        raise UserError(f'{path} has no axis {x!r}; it has {", ".join(axes)}')
    metric = metric or metrics[0]
    if metric not in metrics:
        raise UserError(f'{path} has no metric {metric!r}; it has {", ".join(metrics)}')
    points = {}
    for row in rows:
        value = float(row[metric + MEAN] or math.nan)
        if not math.isnan(value):
            name = ', '.join(f'{axis} {row[axis]}' for axis in axes if axis != x)
            points.setdefault(name or metric, []).append((_number(row[x], x, path), value))
    if not points:
        raise DataError(f'{path} has no finished cell yet')
    return metric, {
        name: tuple(map(list, zip(*sorted(p), strict=True))) for name, p in points.items()
    }


def _number(text, axis, path):
    try:
        return float(text)
    except ValueError as error:
        raise UserError(
            f'axis {axis!r} of {path} has the value {text!r}: only numbers can be drawn'
        ) from error
