"""The index of a tracking data set: its sequences, where their frames are, and how many.

Finding the frames of a large data set takes minutes, so the index is kept as a JSON file: beside
the data, in ``.mmlite/``, or, where that cannot be written, in ``$MMLITE_CACHE`` (default
``~/.cache/mmlite``). It is built again when a list file or one of the top folders changes, by size
or time of modification. Frames added to or taken from the folder of a sequence are *not* seen;
``rebuild_index=True`` builds it in any case. Sequences with a fault are looked at again every time.
"""

import hashlib
import json
import logging
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass, replace
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.logging import print_log

from mmlite.errors import DataError

from ..shapes.cli import Progress
from .annotations import read_boxes
from .frames import VIDEO_ENDINGS, FrameNames, VideoFrames, missing_number, sort_frames

VERSION = 1
"""Raised when the index of earlier versions no longer serves."""

_WORKERS = 8  # threads: listing folders waits for the disk
_PATIENCE = 1  # seconds until the progress is shown


@dataclass(frozen=True, slots=True)
class Entry:
    """A sequence of the index. Paths are relative to the root of the data set, with ``/``.

    Args:
        name (str): Of the sequence.
        annotation (str): File of its boxes.
        video (str, optional): Folder of its frames, or video file; None if that is not known, as
            ``fault`` says.
        first, last (int, optional): Numbers of the first and last frame of the sequence, as in
            their file names. Defaults to the first and last of the folder.
        by_boxes (bool): Whether only the first frames are used, as many as there are boxes.
            Defaults to False.
        skip (int): Lines of the annotation before the first frame. Defaults to 0.
        gaps (bool): Whether numbers may be missing between frames. Defaults to False.
        length (int): Frames, filled in by :func:`look_up`.
        names (FrameNames, optional): Their file names; None for a video file.
        fault (str): Why the sequence cannot be used; empty if it can.
    """

    name: str
    annotation: str
    video: str | None
    first: int | None = None
    last: int | None = None
    by_boxes: bool = False
    skip: int = 0
    gaps: bool = False
    length: int = 0
    names: FrameNames | None = None
    fault: str = ''

    @property
    def is_video(self):
        """bool: Whether the frames are in a video file."""
        return self.video.lower().endswith(VIDEO_ENDINGS)


def load_index(tree, key, watched, find, rebuild=False):
    """The entries of a data set, from the kept index or built anew.

    Args:
        tree (Tree): The data set.
        key (str): Tells apart the indices of one root: data set, split and options.
        watched (callable): Gives the paths, absolute or below the root, that the index depends on.
        find (callable): Gives the entries, before :func:`look_up`.
        rebuild (bool): Build it anew in any case. Defaults to False.

    Returns:
        list[Entry]: In the order of ``find``.

    Raises:
        DataError: If there is no sequence at all, or none of them can be used.
    """
    file = index_file(tree.root, key)  # makes the folder, before the fingerprint of the root
    fingerprint = {path: _stamp(os.path.join(tree.root, path)) for path in watched()}
    entries = None if rebuild or file is None else _load(file, fingerprint)
    if entries is None:
        found, kept = find(), None
        entries = _look_up_all(tree, found, key)
    else:
        kept = entries
        entries = [look_up(tree, entry) if entry.fault else entry for entry in entries]
    if not entries:
        raise DataError(f"'{tree.root}' has no sequence of {key}")
    if all(entry.fault for entry in entries):
        raise DataError(entries[0].fault)
    if file is not None and entries != kept:
        _save(file, fingerprint, entries)
    return entries


def look_up(tree, entry):
    """Find the frames of an entry.

    Args:
        tree (Tree): The data set.
        entry (Entry): ``length``, ``names`` and ``fault`` are not used.

    Returns:
        Entry: With these three filled in.
    """
    if entry.video is None:
        return entry
    try:
        if entry.is_video:
            length = len(VideoFrames(os.path.join(tree.root, entry.video)))
            return replace(entry, length=length, names=None, fault='')
        names = FrameNames.of(_frame_names(tree, entry))
    except DataError as error:
        return replace(entry, length=0, names=None, fault=str(error))
    return replace(entry, length=len(names), names=names, fault='')


def index_file(root, key):
    """Path of the index of a data set, whose folder is made; None where no folder can be written.

    Args:
        root (str): Root of the data set.
        key (str): See :func:`load_index`.
    """
    home = Path(os.environ.get('MMLITE_CACHE') or Path.home() / '.cache' / 'mmlite')
    place = hashlib.sha1(os.path.realpath(root).encode()).hexdigest()[:12]
    for folder in (Path(root, '.mmlite'), home / f'index-{place}'):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK | os.X_OK):
            return folder / f'{key}.json'
    return None


def _frame_names(tree, entry):
    """Names of the frames of an entry in order; raises DataError where some are missing."""
    where = tree.where(entry.video)
    names, numbers = sort_frames(tree.files(entry.video), where)
    first = numbers[0] if entry.first is None else entry.first
    last = numbers[-1] if entry.last is None else entry.last
    chosen = [i for i, number in enumerate(numbers) if first <= number <= last]
    names, numbers = [names[i] for i in chosen], [numbers[i] for i in chosen]
    if not entry.gaps:
        _check_numbers(numbers, first, last, names, where)
    if not entry.by_boxes:
        return names
    boxes = len(read_boxes(tree, entry.annotation, nan_legal=True)) - entry.skip
    if not 0 < boxes <= len(names):
        raise DataError(
            f"folder '{where}' has {len(names)} frames for the {boxes} boxes of "
            f'{tree.where(entry.annotation)}'
        )
    return names[:boxes]


def _check_numbers(numbers, first, last, names, where):
    if not numbers or numbers[0] != first or numbers[-1] != last:
        raise DataError(f"folder '{where}' does not have all frames from {first} to {last}")
    gap = missing_number(numbers)
    if gap is not None:
        before = names[gap - 1 - first]
        raise DataError(f"folder '{where}' has no frame {gap}: one is missing after {before}")


def _look_up_all(tree, entries, key):
    """Look all entries up in several threads, and show how far it is."""
    progress, start, done = Progress(f'index of {key}', 'sequences'), time.monotonic(), []
    with ThreadPoolExecutor(_WORKERS) as pool:
        for entry in pool.map(lambda entry: look_up(tree, entry), entries):
            done.append(entry)
            if is_main_process() and time.monotonic() - start > _PATIENCE:
                progress(len(done), len(entries), 0)
    return done


def _stamp(path):
    """Size and time of modification of a file, folder or its archive; None if there is none."""
    for place in (path, f'{path}.zip'):
        if os.path.exists(place):
            stat = os.stat(place)
            return [stat.st_size, stat.st_mtime_ns]
    return None


def _load(file, fingerprint):
    """Entries of a kept index that still fits; None where there is none."""
    try:
        kept = json.loads(file.read_text())
        if kept['version'] != VERSION or kept['fingerprint'] != fingerprint:
            return None
        return [_unpack(row) for row in kept['entries']]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        print_log(f'{file} is no index ({error!r}): built again', 'current', logging.WARNING)
        return None


def _save(file, fingerprint, entries):
    """Write an index whole or not at all; several processes may do so at once."""
    kept = {'version': VERSION, 'fingerprint': fingerprint, 'entries': list(map(astuple, entries))}
    partial = file.with_name(f'.{file.name}.{os.getpid()}')
    try:
        partial.write_text(json.dumps(kept))
        os.replace(partial, file)
    except OSError as error:
        print_log(f'The index {file} cannot be kept: {error}', 'current', logging.WARNING)


def _unpack(row):
    *rest, names, fault = row
    if names is not None:
        *parts, listed = names
        names = FrameNames(*parts, tuple(listed))
    return Entry(*rest, names, fault)
