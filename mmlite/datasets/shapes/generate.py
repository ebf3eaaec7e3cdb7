"""Make a set: share the items out over processes, resume what was begun, never mix options.

The folder of a set holds ``shapes.json``, its options, from the first moment; ``complete`` in it
turns true as the last step. Work is done in chunks. A chunk's records are written to ``.parts``
after its files, so a run that was stopped anywhere goes on with the chunks that are missing.
"""

import json
import multiprocessing
import os
import shutil
import signal
import threading
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

import cv2

from mmlite.errors import UserError

from .formats import FORMATS
from .job import write_json, write_png
from .spec import SEQUENCE_TASKS

MANIFEST = 'shapes.json'
_PARTS = '.parts'
_CHUNK = 16  # pictures


def generate(job, workers=1, force=False, progress=None):
    """Make the set of ``job``, unless it is complete already.

    Args:
        job (Job): the set.
        workers (int): processes; 1 works in this one. The files do not depend on it.
        force (bool): replace what is there, also a set made with other options.
        progress (callable, optional): called as ``progress(done, total, resumed)`` after every
            chunk, in pictures or sequences; ``resumed`` of them had been made by an earlier run.

    Returns:
        bool: False if the set was complete and nothing had to be done.

    Raises:
        UserError: the folder holds something else, a set with other options (without ``force``),
            or a worker process died.
    """
    form = FORMATS[job.task](job)
    if check(job, force) and not force:
        return False
    if force:
        _remove(form)
    write_json(job.root / MANIFEST, {**job.options(), 'complete': False}, indent=2)
    chunks = _chunks(form)
    pending = [chunk for chunk in chunks if not _part_path(job, chunk).exists()]
    total = sum(form.counts().values())
    done = resumed = total - sum(stop - start for _, start, stop in pending)
    for _, start, stop in _run(job, pending, workers):
        done += stop - start
        if progress:
            progress(done, total, resumed)
    records = {split: [] for split in form.counts()}
    for chunk in chunks:
        records[chunk[0]] += json.loads(_part_path(job, chunk).read_text())
    form.finish(records)
    write_png(contact_path(job), _contact_sheet(form))
    write_json(job.root / MANIFEST, {**job.options(), 'complete': True}, indent=2)
    shutil.rmtree(job.root / _PARTS)
    return True


def check(job, force=False):
    """Whether the set of ``job`` is complete; False if it is missing or only begun.

    Raises:
        UserError: the folder holds something that is not a generated set, or, without ``force``,
            a set made with other options.
    """
    path = job.root / MANIFEST
    if not path.exists():
        if job.root.exists() and (not job.root.is_dir() or any(job.root.iterdir())):
            raise UserError(
                f"'{job.root}' is not empty and has no {MANIFEST}, so it was not made by this "
                'tool; choose another output folder.'
            )
        return False
    found = _read_manifest(path)
    complete = found.pop('complete')
    if found != job.options():
        if force:
            return False
        raise UserError(
            f"'{job.root}' holds a set made with other options ({_differences(found, job)}); "
            'give --force to replace it, or choose another output folder.'
        )
    return complete


def contact_path(job):
    """Path: the contact sheet of a set, beside its folder."""
    return job.root.parent / f'{job.task}_contact.png'


def _read_manifest(path):
    try:
        found = json.loads(path.read_text())
    except ValueError:
        found = None
    if not isinstance(found, dict) or not {'generator', 'complete'} <= found.keys():
        raise UserError(f"'{path}' is not a manifest of this tool; choose another output folder.")
    return found


def _differences(found, job):
    """The options that differ, as 'name: there, asked'."""

    def flat(options):
        options = dict(options)
        return {**options.pop('spec', {}), **options}

    there, asked = flat(found), flat(job.options())
    names = [name for name in {**asked, **there} if there.get(name) != asked.get(name)]
    return ', '.join(f'{n}: {there.get(n)} there, {asked.get(n)} asked' for n in names)


def _remove(form):
    """Delete the set, and nothing that a user may have put beside it."""
    root = form.job.root
    for name in (MANIFEST, _PARTS, *form.entries):
        path = root / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _chunks(form):
    """All (split, start, stop), stop excluded."""
    step = 1 if form.job.task in SEQUENCE_TASKS else _CHUNK
    return [
        (split, start, min(start + step, count))
        for split, count in form.counts().items()
        for start in range(0, count, step)
    ]


def _part_path(job, chunk):
    split, start, stop = chunk
    return job.root / _PARTS / f'{split}-{start}-{stop}.json'


def _make_chunk(job, chunk):
    """Write the items of a chunk, then their records; return the chunk."""
    form = FORMATS[job.task](job)
    split, start, stop = chunk
    write_json(_part_path(job, chunk), [form.write(split, index) for index in range(start, stop)])
    return chunk


def _run(job, chunks, workers):
    """Make chunks and yield each when it is done, in any order."""
    with _single_threaded():
        if workers == 1 or len(chunks) < 2:
            for chunk in chunks:
                yield _make_chunk(job, chunk)
        else:
            yield from _run_pool(job, chunks, workers)


@contextmanager
def _single_threaded():
    """Keep OpenCV to one thread: the processes share the cores, and a fork needs it so."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(0)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def _run_pool(job, chunks, workers):
    # A forked worker shares the memory of what is imported already; a fresh one would import
    # PyTorch again.
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context('fork' if 'fork' in methods else None)
    pool = ProcessPoolExecutor(min(workers, len(chunks)), context, _start_worker, (os.getpid(),))
    try:
        for future in as_completed([pool.submit(_make_chunk, job, chunk) for chunk in chunks]):
            yield future.result()
    except BrokenProcessPool as error:
        raise UserError(
            'A worker process died, perhaps for lack of memory; run the same command again to go '
            'on, with fewer --workers.'
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker(parent):
    """One thread a process; the parent alone answers Ctrl-C; no worker outlives the parent."""
    cv2.setNumThreads(0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch():
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _contact_sheet(form):
    job, counts = form.job, form.counts()
    parts = [
        ' + '.join(f'{count} {split}' for split, count in counts.items()) + f' {form.unit}',
        f'{job.spec.size} px',
        f'{job.spec.classes} classes',
        f'seed {job.seed}',
    ]
    if form.unit == 'sequences':
        parts.insert(1, f'{job.spec.frames} frames')
    if job.shuffle_labels:
        parts.append('labels shuffled')
    return cv2.cvtColor(form.preview().draw(', '.join(parts)), cv2.COLOR_BGR2RGB)
