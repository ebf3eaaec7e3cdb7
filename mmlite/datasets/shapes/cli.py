"""Command line of ``tools/dataset_converters/make_shapes.py``."""

import argparse
import os
import sys
import time
from pathlib import Path

from mmlite.errors import DataError, UserError

from .formats import FORMATS
from .generate import check, contact_path, generate
from .job import Job
from .spec import TASKS, task_spec

_DEFAULT_COUNTS = {'pictures': (200, 50), 'sequences': (24, 12)}
_SPEC_OPTIONS = (
    'size', 'classes', 'min_size', 'max_size', 'max_objects', 'max_aspect', 'class_colors',
    'frames',
)  # fmt: skip

_DESCRIPTION = """\
Draw scenes of textured shapes and write them in official layouts:
  det  COCO      OUT/coco      boxes and masks
  cls  ImageNet  OUT/imagenet  one dominant object a picture
  seg  ADE20K    OUT/ade       label maps, backgrounds are classes too
  sot  LaSOT     OUT/lasot     tracking sequences
  got  GOT-10k   OUT/got10k    tracking sequences
Equal options and seed give equal files, whatever the number of processes; a longer
set begins with the shorter one. A run that was stopped goes on when started again.
"""


def parse_args(argv=None):
    """Arguments of the tool as a namespace."""
    parser = argparse.ArgumentParser(
        description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('--tasks', nargs='+', choices=(*TASKS, 'all'), default=['det'], help='default: det')
    add('--out', type=Path, default=Path('data/shapes'), help='default: data/shapes')
    add('--train', type=int, metavar='N', help='default: 200 pictures or 24 sequences')
    add('--val', type=int, metavar='N', help='default: 50 pictures or 12 sequences')
    add('--seed', type=int, default=0, help='default: 0')
    add('--size', type=int, metavar='PX', help='longer side of a picture; default: 320')
    add('--classes', type=int, metavar='N', help='object classes, 1 to 16; default: 12')
    add('--min-size', type=float, metavar='F', help='least extent of an object, fraction of --size')
    add('--max-size', type=float, metavar='F', help='greatest extent; defaults depend on the task')
    add('--max-objects', type=int, metavar='N', help='objects in a picture; default: 6')
    add('--max-aspect', type=float, metavar='R', help='greatest side ratio; default: 1 (square)')
    add(
        '--class-colors', action='store_true', default=None,
        help='objects of a class share a hue: an easier set',
    )  # fmt: skip
    add('--frames', type=int, metavar='N', help='length of a sequence; default: 60')
    add('--workers', type=int, metavar='N', help='processes; default: one for every core')
    add('--shuffle-labels', action='store_true', help='draw labels at random: a negative control')
    add('--force', action='store_true', help='replace sets that are there already')
    return parser.parse_args(argv)


def run(argv=None):
    """Run the tool.

    Raises:
        UserError: an option is wrong, or a folder holds something else.
        DataError: the files cannot be written.
    """
    args = parse_args(argv)
    jobs = jobs_from_args(args)
    workers = _cores() if args.workers is None else args.workers
    if workers < 1:
        raise UserError(f'--workers is {workers}; it should be 1 or more.')
    for job in jobs:  # say what is wrong with the last set before making the first
        check(job, args.force)
    for job in jobs:
        progress = Progress(job.task, FORMATS[job.task].unit)
        try:
            made = generate(job, workers, args.force, progress)
        except OSError as error:
            where = error.filename or job.root
            raise DataError(f"Cannot write '{where}': {error.strerror}.") from error
        except KeyboardInterrupt:
            print('\nStopped; the same command goes on from here.', file=sys.stderr)
            raise
        if made:
            print(f"{job.task}: done, '{job.root}'; have a look at '{contact_path(job)}'.")
        else:
            print(f"{job.task}: '{job.root}' is complete already, nothing to do.")


def jobs_from_args(args):
    """The sets that the arguments ask for, in the order of ``TASKS``.

    Raises:
        UserError: a value is outside its range.
    """
    overrides = {name: getattr(args, name) for name in _SPEC_OPTIONS}
    overrides = {name: value for name, value in overrides.items() if value is not None}
    jobs = []
    for task in TASKS if 'all' in args.tasks else [t for t in TASKS if t in args.tasks]:
        train, val = _DEFAULT_COUNTS[FORMATS[task].unit]
        jobs.append(
            Job(
                task=task,
                root=args.out / FORMATS[task].folder,
                spec=task_spec(task, **overrides),
                seed=args.seed,
                train=train if args.train is None else args.train,
                val=val if args.val is None else args.val,
                shuffle_labels=args.shuffle_labels,
            )
        )
    return jobs


def _cores():
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Progress:
    """Prints how far a set is: one changing line on a terminal, a line every tenth elsewhere."""

    def __init__(self, task, unit, stream=None):
        self._task, self._unit = task, unit
        self._stream = stream or sys.stderr
        self._start = time.monotonic()
        self._tenth = 0

    def __call__(self, done, total, resumed):
        speed = (done - resumed) / max(time.monotonic() - self._start, 1e-6)
        left = (total - done) / speed
        line = f'{self._task}: {done}/{total} {self._unit}, {speed:.1f}/s, {_clock(left)} left'
        if self._stream.isatty():
            end = '\n' if done == total else ''
            print(f'\r{line:<70}', end=end, file=self._stream, flush=True)
        elif 10 * done // total > self._tenth:
            self._tenth = 10 * done // total
            print(line, file=self._stream, flush=True)


def _clock(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f'{hours}:{minutes:02d}:{seconds:02d}'
