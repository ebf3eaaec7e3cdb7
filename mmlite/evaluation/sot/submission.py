"""Archives for the servers that keep the annotation of their test videos."""

import os
import zipfile
from pathlib import Path

from mmlite.errors import DataError, UserError

from .results import finite_boxes, format_rows

SHOWN = 10


def write_submission(path, dataset, tracks, names):
    """Write the zip that a server takes.

    Equal tracks give equal bytes. GOT-10k: ``<seq>/<seq>_001.txt`` with comma-separated x, y, w, h
    and ``<seq>/<seq>_time.txt`` with the seconds of every frame. TrackingNet: ``<seq>.txt`` without
    any folder.

    Args:
        path (str | Path): File to write; replaced whole or not at all.
        dataset (str): ``'got10k'`` or ``'trackingnet'``.
        tracks (Sequence[Track]): One for every test sequence.
        names (Sequence[str]): The test sequences.

    Returns:
        Path: The file.

    Raises:
        UserError: If there is no server for ``dataset``.
        DataError: If sequences or times are missing, a box is not finite, or the file cannot be
            written.
    """
    if dataset not in SERVERS:
        raise UserError(
            f'data set {dataset} has boxes for the first frames only, and of the servers that '
            f'score such results those of {", ".join(SERVERS)} are known'
        )
    by_name = {track.name: track for track in tracks}
    missing = [name for name in names if name not in by_name]
    if missing:
        raise DataError(
            f'no submission for {dataset}: its server wants all {len(names)} sequences, but '
            f'{len(missing)} are missing ({listed(missing)})'
        )
    path = Path(path)
    partial = path.with_name(f'.{path.name}.{os.getpid()}')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(partial, 'w', zipfile.ZIP_DEFLATED) as archive:
            for name in sorted(names):
                for file, text in SERVERS[dataset](by_name[name]):
                    entry = zipfile.ZipInfo(file)  # with a constant date
                    entry.external_attr = 0o644 << 16
                    archive.writestr(entry, text, zipfile.ZIP_DEFLATED)
        os.replace(partial, path)
    except OSError as error:
        raise DataError(f'cannot write {path}: {error.strerror}') from error
    finally:
        partial.unlink(missing_ok=True)
    return path


def listed(names, shown=SHOWN):
    """``'a, b, c and 5 more'``: names for a message."""
    names = list(names)
    rest = f' and {len(names) - shown} more' if len(names) > shown else ''
    return ', '.join(names[:shown]) + rest


def _got10k(track):
    """Files of one sequence: decimals as GOT-10k's own toolkit writes them."""
    if track.seconds is None:
        raise DataError(
            f"track {track.name} has no {track.name}_time.txt, but GOT-10k's server wants the "
            'seconds of every frame'
        )
    folder = f'{track.name}/{track.name}'
    yield f'{folder}_001.txt', format_rows(finite_boxes(track), '%.3f')
    yield f'{folder}_time.txt', format_rows(track.seconds[:, None], '%.8f')


def _trackingnet(track):
    """File of one sequence; the server rounds to whole pixels itself."""
    yield f'{track.name}.txt', format_rows(finite_boxes(track), '%.2f')


SERVERS = {'got10k': _got10k, 'trackingnet': _trackingnet}
"""Data set -> function that gives the (name, text) of the files of one track."""
