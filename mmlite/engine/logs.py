"""Read the scalar logs of mmengine, for curves and timings."""

import json
from pathlib import Path

import numpy as np

from mmlite.errors import DataError, UserError
from mmlite.utils.names import near_names, with_near

BOOKKEEPING = frozenset({'step', 'iter', 'epoch', 'time', 'data_time', 'memory', 'lr', 'base_lr'})
"""Scalars of every run that are no metric."""


def find_logs(path):
    """All ``scalars.json`` of a work directory, the oldest first, or the one that ``path`` is."""
    path = Path(path)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise DataError(f'{path} does not exist: give a work directory or a scalars.json')
    runs = sorted(path.glob('*/vis_data/scalars.json')) + sorted(path.glob('vis_data/scalars.json'))
    if not runs:
        raise DataError(f'{path} holds no log: */vis_data/scalars.json is what a run writes')
    return runs


def read_records(file):
    """Read a ``scalars.json`` file, one dict a line, less an unfinished last line."""
    records = []
    try:
        text = Path(file).read_text(encoding='utf-8')
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f'{file} cannot be read as a log: {error}') from error
    for number, line in enumerate(text.split('\n')[:-1], 1):
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f'{file}, line {number} is not valid JSON: {error}') from error
        if not isinstance(record, dict):
            raise DataError(f'{file}, line {number} is not a JSON object')
        records.append(record)
    if not records:
        raise DataError(f'{file} holds no record')
    return records


def split_records(logs):
    """Records with ``loss``, and those with a metric, by step; a later file replaces steps."""
    training, validation = {}, {}
    for record in (record for log in logs for record in read_records(log)):
        if 'loss' in record:
            training[record['step']] = record
        elif record.keys() - BOOKKEEPING:
            validation[record['step']] = record
    return [training[k] for k in sorted(training)], [validation[k] for k in sorted(validation)]


def curve(records, key, file):
    """Steps and values of a scalar of ``file``, e.g. ``'loss'`` or ``'coco/bbox_mAP'``.

    Training steps are iterations; those of validation are iterations or epochs, as the run counts.
    """
    found = [(r['step'], r[key]) for r in records if key in r and 'step' in r]
    for pair in found:
        if not all(isinstance(value, (int, float)) for value in pair):
            raise DataError(f'{file}: {key} is {pair[1]!r} at step {pair[0]!r}, not numbers')
    if not found:
        keys = sorted({k for r in records for k in r} - {'step', 'iter', 'epoch'})
        message = f'{file} has no key {key!r}; it has {", ".join(keys)}'
        raise UserError(with_near(message, near_names(key, keys)))
    steps, values = zip(*found, strict=True)
    return list(steps), list(values)


def train_time(records, file):
    """Mean seconds per training iteration, by epoch (0 for iteration-based runs)."""
    times = {}
    for record in records:
        if 'time' in record and 'lr' in record:  # validation records have no learning rate
            if not isinstance(record['time'], (int, float)):
                raise DataError(f'{file}: time is {record["time"]!r}, not a number')
            times.setdefault(record.get('epoch', 0), []).append(record['time'])
    if not times:
        raise UserError(f'{file} has no training step')
    return {epoch: float(np.mean(values)) for epoch, values in sorted(times.items())}
