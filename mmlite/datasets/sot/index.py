"""The index of a tracking data set: its sequences with the names and number of their frames.

Listing the frames of a large data set takes minutes, so the index is kept as a JSON file: below
``$MMLITE_CACHE`` if set, else in ``.mmlite/`` beside the data or below ``~/.cache/mmlite``. It is
rebuilt when a list file or a top directory changes in size or modification time; changes within the
directory of a sequence need ``rebuild_index=True``. Sequences with a fault are checked every time.
"""

import hashlib
import json
import logging
import os
import posixpath
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass, replace
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.logging import print_log

from mmlite.errors import DataError, OutputError
from mmlite.utils import Progress, write_json

from .annotations import read_boxes
from .frames import VIDEO_SUFFIXES, FrameNames, VideoFrames, sort_frames
from .storage import WatchedTree, stamp

VERSION = 4
"""To be increased when indices of earlier versions become invalid."""

_WORKERS = 8  # threads: listing directories waits for the disk
_MANY = 100  # sequences from which on the progress is shown


@dataclass(frozen=True, slots=True)
class Entry:
    """A sequence of the index. Paths are relative to the root of the data set, with ``/``."""

    name: str
    annotation: str  # file of the boxes
    video: str | None  # directory of the frames, or video file; None if unknown, see fault
    first: int | None = None  # numbers of the first and last frame in their file names;
    last: int | None = None  # None: those of the directory
    by_boxes: bool = False  # use as many of the first frames as there are boxes
    skip: int = 0  # lines of the annotation before the first frame
    gaps: bool = False  # allow numbers to be missing between frames
    length: int = 0  # frames; this and the rest by look_up()
    seekable: bool = True  # of a video file, see VideoFrames
    names: FrameNames | None = None  # of the frames; None for a video file
    fault: str = ''  # why the sequence cannot be used

    @property
    def is_video(self):
        """Whether the frames are in a video file."""
        return self.video.lower().endswith(VIDEO_SUFFIXES)


class KeptIndex:
    """A JSON file that is valid while nothing changes that ``tree`` was asked for.

    ``key`` distinguishes the indices of one root: data set, split and options. Without ``kept``
    there is no file.
    """

    def __init__(self, root, key, kept=True):
        self._file = (
            _index_file(root, key) if kept else None
        )  # creates the directory before the root is stamped
        self.tree = WatchedTree(root)

    def load(self, unpack):
        """Return ``unpack(content)``, or None without a valid file."""
        if self._file is None:
            return None
        try:
            kept = json.loads(self._file.read_text(encoding='utf-8'))
            if kept['version'] != VERSION:
                return None
            stamps = {path: stamp(os.path.join(self.tree.root, path)) for path in kept['stamps']}
            if stamps != kept['stamps']:
                return None
            content = unpack(kept['content'])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            text = f'{self._file} is not an index ({error!r}): rebuilt'
            print_log(text, 'current', logging.WARNING)
            return None
        self.tree.stamps = stamps
        return content

    def save(self, content):
        """Write ``content``; only a warning where that is impossible."""
        if self._file is None:
            return
        kept = dict(version=VERSION, stamps=self.tree.stamps, content=content)
        try:
            write_json(self._file, kept, None)
        except OutputError as error:
            print_log(f'The index is not kept: {error}', 'current', logging.WARNING)


def load_index(tree, key, find, rebuild=False):
    """Load the entries of a data set from its index, or build it from those of ``find(tree)``.

    With ``rebuild=None`` no index is read or kept.
    """
    index = KeptIndex(tree.root, key, rebuild is not None)
    kept = None if rebuild else index.load(lambda rows: list(map(_unpack, rows)))
    if kept is None:
        entries = find(index.tree)
        check_names(entries, tree)
        for entry in (entry for entry in entries if entry.video is not None):
            index.tree.watch(posixpath.dirname(entry.video))
            if entry.by_boxes or entry.is_video:  # the number of frames depends on this file
                index.tree.watch(entry.annotation if entry.by_boxes else entry.video)
        with ThreadPoolExecutor(_WORKERS) as pool:
            looked_up = pool.map(lambda entry: look_up(tree, entry), entries)
            if len(entries) >= _MANY and is_main_process():
                progress = Progress(f'index of {key}', len(entries), 'sequences')
                looked_up = progress.track(looked_up)
            entries = list(looked_up)
    else:
        entries = [look_up(tree, entry) if entry.fault else entry for entry in kept]
    if not entries:
        raise DataError(f"'{tree.root}' has no sequence of {key}")
    if all(entry.fault for entry in entries):
        raise DataError(entries[0].fault)
    if entries != kept:
        index.save([astuple(entry) for entry in entries])
    return entries


def check_names(entries, tree):
    """Refuse two sequences of one name: results are written under it."""
    paths = {}
    for entry in entries:
        if entry.name in paths:
            both = f'{paths[entry.name]} and {tree.where(entry.annotation)}'
            raise DataError(f'two sequences are called {entry.name}, those of {both}')
        paths[entry.name] = tree.where(entry.annotation)


def look_up(tree, entry):
    """Fill in ``length``, ``names`` and ``fault`` of an entry from its files."""
    if entry.video is None:
        return entry
    length, seekable, names, fault = 0, True, None, ''
    try:
        if entry.is_video:
            frames = VideoFrames(os.path.join(tree.root, entry.video))
            length, seekable = len(frames), frames.seekable
        else:
            names = FrameNames.of(_frame_names(tree, entry))
            length = len(names)
    except DataError as error:
        fault = str(error)
    return replace(entry, length=length, seekable=seekable, names=names, fault=fault)


def _index_file(root, key):
    """Path of the index, in a directory that is created; None where none can be written."""
    digest = hashlib.sha1(os.path.realpath(root).encode()).hexdigest()[:12]
    cache = os.environ.get('MMLITE_CACHE')
    central = Path(cache or Path.home() / '.cache' / 'mmlite', f'index-{digest}')
    beside = Path(root, '.mmlite')
    for folder in (central, beside) if cache else (beside, central):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK | os.X_OK):
            return folder / f'{key}.json'
    return None


def _frame_names(tree, entry):
    """Names of the frames of an entry in order; DataError where some are missing."""
    where = tree.where(entry.video)
    names, numbers = sort_frames(tree.files(entry.video), where)
    first = numbers[0] if entry.first is None else entry.first
    last = numbers[-1] if entry.last is None else entry.last
    frames = {n: name for n, name in zip(numbers, names, strict=True) if first <= n <= last}
    missing = (number for number in range(first, last + 1) if number not in frames)
    if not entry.gaps and (number := next(missing, None)) is not None:
        raise DataError(f"directory '{where}' has no frame {number} of {first} to {last}")
    names = list(frames.values())
    if not entry.by_boxes:
        return names
    boxes = len(read_boxes(tree, entry.annotation, nan_legal=True)) - entry.skip
    if not 0 < boxes <= len(names):
        raise DataError(
            f"directory '{where}' has {len(names)} frames for the {boxes} boxes of "
            f'{tree.where(entry.annotation)}'
        )
    return names[:boxes]


def _unpack(row):
    *rest, names, fault = row
    if names is not None:
        *parts, listed = names
        names = FrameNames(*parts, tuple(listed))
    return Entry(*rest, names, fault)
