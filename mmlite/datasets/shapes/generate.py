"""Sets, generated in several processes, that go on where a run was stopped and never mix options.

The directory of a set holds its options, ``shapes.json``, from the first moment; ``complete`` in it
turns true as the last step. Until then ``.items.jsonl`` has a line for each item whose files are
written.
"""

import functools
import json
import multiprocessing
import os
import shutil
import signal
import threading
import zlib
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mmlite.errors import OutputError, UserError
from mmlite.utils import Progress, encode_png, write_bytes, write_json

from .formats import FORMATS
from .motion import sample_sequence
from .scene import sample_scene
from .sheet import contact_sheet
from .spec import SEQUENCE_TASKS, SceneSpec

MANIFEST = 'shapes.json'
_ITEMS = '.items.jsonl'
GENERATOR_VERSION = 2
"""Raised with every change that alters the images or annotations of a given seed."""


@dataclass(frozen=True)
class Job:
    """A set of generated data.

    Args:
        task: One of ``TASKS``.
        root: Directory of the set.
        spec: Options of the scenes.
        seed: Item ``i`` of a split depends on seed, task, split, ``i`` and ``spec`` alone, so a
            longer set begins with the shorter one. Files are equal byte for byte with equal
            versions of NumPy and OpenCV on processors of one kind.
        train, val: Number of images, or of sequences for tracking.
        shuffle_labels: Random class labels on the same images: a control; not for tracking.
    """

    task: str
    root: Path
    spec: SceneSpec
    seed: int = 0
    train: int = 200
    val: int = 50
    shuffle_labels: bool = False

    def __post_init__(self):
        for name, least in (('seed', 0), ('train', 1), ('val', 1)):
            if getattr(self, name) < least:
                raise UserError(
                    f'{name} of the generated set is {getattr(self, name)}; it must be >= {least}'
                )
        if self.shuffle_labels and self.task in SEQUENCE_TASKS:
            raise UserError(
                f"labels cannot be shuffled for task '{self.task}': its boxes have no class; "
                'shuffle det, cls or seg'
            )

    def options(self):
        own = {key: value for key, value in vars(self).items() if key not in ('root', 'spec')}
        origin = {'generator': 'mmlite.datasets.shapes', 'version': GENERATOR_VERSION}
        return {**origin, **own, **vars(self.spec)}

    def rng(self, split, index, purpose=''):
        """Random generator of an item: a function of seed, task and these values alone."""
        key = zlib.crc32(f'{self.task}/{split}/{purpose}'.encode())
        return np.random.default_rng([self.seed, key, index])

    def label(self, split, index, purpose='label'):
        """Class of the main object of an item; every class once in a block of ``spec.classes``."""
        block, place = divmod(index, self.spec.classes)
        return int(self.rng(split, block, purpose).permutation(self.spec.classes)[place])

    def scene(self, split, index):
        return sample_scene(self.rng(split, index), self.spec, self.label(split, index))

    def sequence(self, split, index):
        return sample_sequence(self.rng(split, index), self.spec, self.label(split, index))


def generate(job, workers=1, force=False, verbose=False):
    """Generate the set of ``job``; return False if it was complete already.

    The files do not depend on the number of ``workers``, processes, by default this one. ``force``
    replaces an existing set, also one of other options.
    """
    form = FORMATS[job.task](job)
    if check(job, force) and not force:
        return False
    try:
        if force:
            _remove(form)
        write_json(job.root / MANIFEST, {**job.options(), 'complete': False})
        form.finish(_write_items(form, workers, verbose))
        write_bytes(contact_path(job), encode_png(contact_sheet(job)))
        write_json(job.root / MANIFEST, {**job.options(), 'complete': True})
        (job.root / _ITEMS).unlink()
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f'cannot write {error.filename or job.root}: {error.strerror}') from error
    except BrokenProcessPool as error:
        raise UserError(
            'a worker process died, perhaps for lack of memory; run the same command again with '
            'fewer --workers'
        ) from error
    return True


def check(job, force=False):
    """Whether the set of ``job`` is complete; UserError if its directory holds another one."""
    path = job.root / MANIFEST
    if not path.exists():
        if job.root.exists() and (not job.root.is_dir() or any(job.root.iterdir())):
            raise UserError(
                f"'{job.root}' is not empty and has no {MANIFEST}, so this tool did not write it; "
                'choose another output directory'
            )
        return False
    try:
        found = dict(json.loads(path.read_text()))
        complete = found.pop('complete')
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(
            f"'{path}' is not a manifest of this tool; choose another output directory"
        ) from error
    expected = job.options()
    names = [name for name in {**expected, **found} if expected.get(name) != found.get(name)]
    if names and not force:
        differences = ', '.join(f'{n}: {found.get(n)} != {expected.get(n)}' for n in names)
        raise UserError(
            f"'{job.root}' holds a set of other options ({differences}); "
            'replace it by --force, or choose another output directory'
        )
    return complete and not names


def contact_path(job):
    """Path of the contact sheet of a set, beside its directory."""
    return job.root.parent / f'{job.task}_contact.png'


def _remove(form):
    """Delete the set, but not what a user may have put beside it."""
    for name in (MANIFEST, _ITEMS, *form.entries):
        path = form.job.root / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _write_items(form, workers, verbose):
    """Write the missing items; return the records of all by split, in order of index."""
    job, log = form.job, form.job.root / _ITEMS
    counts, records, is_sequence = form.counts(), {}, job.task in SEQUENCE_TASKS
    for line in log.read_text().splitlines() if log.exists() else ():
        with suppress(ValueError):  # the last line of a stopped run may be truncated
            split, index, record = json.loads(line)
            records[split, index] = record
    items = [(split, index) for split, count in counts.items() for index in range(count)]
    pending = [item for item in items if item not in records]
    write = functools.partial(_write_item, job)
    with open(log, 'a') as file, ExitStack() as stack:
        stack.callback(cv2.setNumThreads, cv2.getNumThreads())
        cv2.setNumThreads(0)  # the processes share the cores, and a fork requires it
        if workers == 1 or len(pending) < 2:
            written = map(write, pending)
        else:
            # a forked worker shares what is imported; a fresh one would import PyTorch again
            methods = multiprocessing.get_all_start_methods()
            context = multiprocessing.get_context('fork' if 'fork' in methods else None)
            pool = ProcessPoolExecutor(min(workers, len(pending)), context, _start_worker)
            stack.callback(pool.shutdown, cancel_futures=True)
            written = pool.map(write, pending, chunksize=1 if is_sequence else 8)
        if verbose:
            unit = 'sequences' if is_sequence else 'images'
            progress = Progress(job.task, len(items), unit, done=len(records))
            written = progress.track(written)
        for item, record in zip(pending, written, strict=True):
            records[item] = record
            file.write('\n' + json.dumps([*item, record]))  # ends a truncated line, too
            file.flush()
    return {split: [records[split, i] for i in range(count)] for split, count in counts.items()}


def _write_item(job, item):
    return FORMATS[job.task](job).write(*item)


def _start_worker():
    """Leave Ctrl-C to the parent, and end with it."""
    cv2.setNumThreads(0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
