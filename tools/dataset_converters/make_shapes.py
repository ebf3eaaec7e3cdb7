"""Generate scenes of textured shapes in official layouts.

  det  COCO      OUT/coco      boxes and masks
  cls  ImageNet  OUT/imagenet  one dominant object per image
  seg  ADE20K    OUT/ade       label maps, backgrounds are classes too
  sot  LaSOT     OUT/lasot     tracking sequences
  got  GOT-10k   OUT/got10k    tracking sequences
Equal options and seed give equal files, whatever the number of processes; a longer
set begins with the shorter one. A run that was stopped goes on when started again.

python tools/dataset_converters/make_shapes.py --tasks det --out data/shapes --train 200 --val 50
"""

import argparse
import os
import sys
from pathlib import Path

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.datasets.shapes import TASKS, Job, check, contact_path, generate, task_spec
from mmlite.datasets.shapes.formats import FORMATS
from mmlite.datasets.shapes.spec import SEQUENCE_TASKS
from mmlite.engine.cli import non_negative_int, positive_int, tool

SPEC_OPTIONS = (
    'size', 'classes', 'min_size', 'max_size', 'max_objects', 'max_aspect', 'class_colors',
    'frames',
)  # fmt: skip


def parse_args(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('--tasks', nargs='+', choices=(*TASKS, 'all'), default=['det'], help='default: det')
    add('--out', type=Path, default=Path('data/shapes'), help='default: data/shapes')
    add('--train', type=positive_int, metavar='N', help='default: 200 images or 24 sequences')
    add('--val', type=positive_int, metavar='N', help='default: 50 images or 12 sequences')
    add('--seed', type=non_negative_int, default=0, help='default: 0')
    add('--size', type=int, metavar='PX', help='longer side of an image; default: 320')
    add('--classes', type=int, metavar='N', help='object classes, 1 to 16; default: 12')
    add('--min-size', type=float, metavar='F', help='least extent of an object, fraction of --size')
    add('--max-size', type=float, metavar='F', help='greatest extent; defaults depend on the task')
    add('--max-objects', type=int, metavar='N', help='objects in an image; default: 6')
    add('--max-aspect', type=float, metavar='R', help='greatest side ratio; default: 1 (square)')
    add(
        '--class-colors', action='store_true', default=None,
        help='objects of a class share a hue: an easier set',
    )  # fmt: skip
    add('--frames', type=int, metavar='N', help='length of a sequence; default: 60')
    add('--workers', type=positive_int, metavar='N', help='processes; default: one per core')
    add('--shuffle-labels', action='store_true', help='random labels: a negative control')
    add('--force', action='store_true', help='replace existing sets')
    return parser.parse_args(argv)


def jobs_from_args(args):
    """The sets that the arguments ask for, in the order of ``TASKS``."""
    options = {name: getattr(args, name) for name in SPEC_OPTIONS}
    options = {name: value for name, value in options.items() if value is not None}
    jobs = []
    for task in TASKS if 'all' in args.tasks else [t for t in TASKS if t in args.tasks]:
        train, val = (24, 12) if task in SEQUENCE_TASKS else (200, 50)
        jobs.append(
            Job(
                task=task,
                root=args.out / FORMATS[task].folder,
                spec=task_spec(task, **options),
                seed=args.seed,
                train=args.train or train,
                val=args.val or val,
                shuffle_labels=args.shuffle_labels,
            )
        )
    return jobs


@tool
def main(argv=None):
    args = parse_args(argv)
    if args.workers is None:
        allowed = hasattr(os, 'sched_getaffinity')  # not on Windows and macOS
        args.workers = len(os.sched_getaffinity(0)) if allowed else os.cpu_count() or 1
    jobs = jobs_from_args(args)
    for job in jobs:  # refuse the last set before generating the first
        check(job, args.force)
    for job in jobs:
        try:
            new = generate(job, args.workers, args.force, verbose=True)
        except KeyboardInterrupt:
            print('\nStopped; the same command goes on from here.', file=sys.stderr)
            raise
        if new:
            print(f"{job.task}: done, '{job.root}'; have a look at '{contact_path(job)}'.")
        else:
            print(f"{job.task}: '{job.root}' is complete already, nothing to do.")


if __name__ == '__main__':
    sys.exit(main())
