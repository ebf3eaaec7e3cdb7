"""Train one recipe over initializations, settings and seeds, and compare.

Every trial is a ``tools/train.py`` of its own. Started again, the sweep leaves out what is finished
and resumes what is not. Settings that vary together are written in the config's ``sweep_grid``.

Example:
    python tools/sweep.py CONFIG --init scratch mae=work_dirs/mae/epoch_400.pth --seeds 0 1 2
    python tools/sweep.py CONFIG --grid optim_wrapper.optimizer.lr=0.01,0.03,0.1
"""

import argparse
import sys

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.engine.cli import add_config_options, non_negative_int, positive_int, tool
from mmlite.experiments.grid import parse_grid
from mmlite.experiments.sweep import Sweep


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        conflict_handler='resolve',  # several initializations
    )
    add = parser.add_argument
    add_config_options(parser)
    add('--init', nargs='+', action='extend', default=[], metavar='NAME[=CHECKPOINT]',
        help='initializations of the backbone, as for tools/train.py, with any NAME')  # fmt: skip
    add('--seeds', nargs='+', type=non_negative_int, default=[], help='random seeds')
    add('--grid', nargs='+', action='extend', default=[], metavar='KEY=V1,V2',
        help="settings to vary, each with each (default: the config's sweep_grid)")  # fmt: skip
    add('--metric', help="what to compare by, e.g. coco/bbox_mAP or loss (default: the config's "
        'save_best, else the first of the validation, else the loss)')  # fmt: skip
    add('--lower', action='store_true', help='the lowest metric is best, as always for losses')
    add('--work-dir', help='default: work_dirs/sweep_<config name>')
    add('--jobs', type=positive_int, help='trainings at once (default: one a GPU, else one)')
    add('--auto-scale-lr', action='store_true', help='as for tools/train.py')
    precision = parser.add_mutually_exclusive_group()
    precision.add_argument('--amp', action='store_true', help='train in mixed precision (GPU)')
    precision.add_argument('--no-amp', action='store_true', help='train in full precision')
    return parser.parse_args(argv)


@tool
def main(argv=None):
    args = parse_args(argv)
    flags = [f'--{name}' for name in ('amp', 'no-amp', 'auto-scale-lr')
             if getattr(args, name.replace('-', '_'))]  # fmt: skip
    sweep = Sweep(
        args.config, args.work_dir, args.init, args.seeds, parse_grid(args.grid), args.cfg_options,
        flags, args.metric, args.lower,
    )  # fmt: skip
    table = sweep.run(args.jobs)
    if table:
        print(f'\n{table.markdown()}\nIn {sweep.work_dir}: table.md, grid.csv')
    sweep.raise_failures()


if __name__ == '__main__':
    sys.exit(main())
