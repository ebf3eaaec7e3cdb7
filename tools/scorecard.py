"""Judge pre-trained weights on every task of the suite: one page with a table and figures.

Every checkpoint is fine-tuned for each task by the same recipe, beside two baselines: random
weights, and a classifier that was trained from them. Started again, the scorecard leaves out what
is finished and resumes what is not.

Example:
    python tools/scorecard.py mae=work_dirs/mae/epoch_20.pth d2-mae=work_dirs/d2-mae/epoch_20.pth
    python tools/scorecard.py CHECKPOINT --data real --dry-run
"""

import argparse
import sys

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.engine.cli import non_negative_int, positive_int, tool
from mmlite.errors import UserError
from mmlite.experiments.preset import load_preset, preset_names, read_inits
from mmlite.experiments.scorecard import Scorecard

PRESETS = dict(shapes='shapes-quick', real='paper')
"""``--data`` -> the preset that is taken where none is named."""


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('checkpoints', nargs='*', metavar='[NAME=]CHECKPOINT',
        help="pre-trained weights, or names as for --init (default: the preset's)")  # fmt: skip
    add('--data', choices=PRESETS, default='shapes', help='generated or real data; default: shapes')
    names = ', '.join(preset_names())
    add('--preset', metavar='NAME', help=f'{names}, or a file; default: by --data')
    add('--tasks', nargs='+', default=[], metavar='NAME', help='default: all of the preset')
    add('--seeds', nargs='+', type=non_negative_int, default=[], help="default: the preset's")
    add('--jobs', type=positive_int, help='trainings at once (default: one a GPU, else one)')
    add('--work-dir', help='default: work_dirs/scorecard_PRESET')
    add('--dry-run', action='store_true', help='print the trainings, missing data and the time')
    return parser.parse_args(argv)


@tool
def main(argv=None):
    args = parse_args(argv)
    name = args.preset or PRESETS[args.data]
    checkpoints = args.checkpoints or load_preset(name).inits
    if not checkpoints:
        raise UserError(f'{name} names no weights: give checkpoints')
    inits = read_inits(checkpoints, args.dry_run)
    preset = load_preset(name, inits[0].backbone['type'], args.tasks, args.seeds)
    card = Scorecard(preset, inits, args.work_dir, args.jobs)
    if args.dry_run:
        card.dry_run()
    else:
        card.run()


if __name__ == '__main__':
    sys.exit(main())
