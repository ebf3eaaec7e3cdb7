"""Archives for the servers and toolkits that score the tracks of their test videos."""

import zipfile
from functools import partial

import numpy as np

from mmlite.errors import DataError
from mmlite.utils import atomic_write
from mmlite.utils.names import listed

from .results import finite_boxes, format_rows


def write_submission(path, dataset, tracks, names):
    """Write the zip of the tracks of all sequences ``names``; equal tracks give equal bytes."""
    by_name = {track.name: track for track in tracks}
    missing = [name for name in names if name not in by_name]
    if missing:
        counts = f'all {len(names)} sequences, but {len(missing)} are missing ({listed(missing)})'
        raise DataError(f'no submission for {dataset}: its server requires {counts}')
    with atomic_write(path) as out, zipfile.ZipFile(out, 'w', zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(names):
            for file, text in SERVERS[dataset](by_name[name]):
                entry = zipfile.ZipInfo(file)  # with a constant date
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, text, zipfile.ZIP_DEFLATED)


def _got10k(track):
    """``<seq>/<seq>_001.txt`` and ``_time.txt``, with the decimals of GOT-10k's own toolkit."""
    if track.seconds is None:
        missing = f'{track.name}_time.txt, but GOT-10k requires the seconds of every frame'
        raise DataError(f'track {track.name} has no {missing}')
    stem = f'{track.name}/{track.name}'
    yield f'{stem}_001.txt', format_rows(finite_boxes(track), '%.3f')
    yield f'{stem}_time.txt', format_rows(track.seconds[:, None], '%.8f')


def _trackingnet(track):
    """``<seq>.txt``; the server rounds to integer pixels itself."""
    yield f'{track.name}.txt', format_rows(finite_boxes(track), '%.2f')


def _vot(experiment, repetitions, track):
    """``<experiment>/<seq>/<seq>_001.txt`` and ``_001_time.value`` of the VOT toolkit.

    A line is x,y,w,h, or 1 where the tracker is started, 2 where it was lost, 0 in between. A
    tracker counts as deterministic after three equal repetitions.
    """
    lines = format_rows(finite_boxes(track), '%.4f').splitlines()
    for index in np.flatnonzero(np.isnan(track.boxes[:, 0])):
        lines[index] = f'{abs(track.boxes[index, 3]):.0f}'
    lines[0] = '1'
    for number in range(1, repetitions + 1):
        stem = f'{experiment}/{track.name}/{track.name}_{number:03d}'
        yield f'{stem}.txt', '\n'.join(lines) + '\n'
        if track.seconds is not None:
            yield f'{stem}_time.value', format_rows(track.seconds[:, None], '%.8f')


SERVERS = {
    'got10k': _got10k,
    'trackingnet': _trackingnet,
    'vot_baseline': partial(_vot, 'baseline', 3),
    'vot_unsupervised': partial(_vot, 'unsupervised', 1),
}
"""Data set -> generator of the (name, text) of the files of one track."""

SCORED_ELSEWHERE = ('vot_baseline', 'vot_unsupervised')
"""Data sets that have annotations, and whose tracks a toolkit scores."""
