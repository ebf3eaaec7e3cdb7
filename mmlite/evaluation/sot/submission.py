"""Archives for the servers that keep the annotation of their test videos."""

import zipfile

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


SERVERS = {'got10k': _got10k, 'trackingnet': _trackingnet}
"""Data set -> generator of the (name, text) of the files of one track."""
