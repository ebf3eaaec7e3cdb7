"""Draw curves from training logs, or tell how long an iteration took.

Example:
    python tools/analysis_tools/analyze_logs.py plot_curve work_dirs/a work_dirs/b --keys loss
    python tools/analysis_tools/analyze_logs.py cal_train_time work_dirs/a
"""

import argparse
import sys
from pathlib import Path

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.engine.cli import check_out_file, tool
from mmlite.engine.logs import curve, find_logs, read_records, train_time
from mmlite.errors import UserError
from mmlite.visualization import draw_curves


def parse_args(argv):
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    tasks = parser.add_subparsers(dest='task', required=True)
    plot = tasks.add_parser('plot_curve', help='curves of any logged keys into one PNG')
    plot.add_argument('--keys', nargs='+', default=['loss'], help='one panel a key')
    plot.add_argument('--legend', nargs='+', help='names of the runs (default: their folders)')
    plot.add_argument('--out', type=Path, default=Path('curves.png'), help='PNG file to write')
    time = tasks.add_parser('cal_train_time', help='seconds per training iteration')
    for task in (plot, time):
        task.add_argument('logs', nargs='+', help='work directories or scalars.json files')
    return parser.parse_args(argv)


@tool
def main(argv=None):
    args = parse_args(argv)
    logs = [find_logs(path)[-1] for path in args.logs]
    if args.task == 'plot_curve':
        plot_curve(args, logs)
    else:
        for name, log in zip(args.logs, logs, strict=True):
            print_train_time(name, log)


def plot_curve(args, logs):
    check_out_file('--out', args.out)
    legend = args.legend or args.logs
    if len(legend) != len(logs):
        raise UserError(f'--legend has {len(legend)} names for {len(logs)} logs')
    records = [read_records(log) for log in logs]
    panels = {
        key: {
            name: curve(run, key, log) for name, run, log in zip(legend, records, logs, strict=True)
        }
        for key in args.keys
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_bytes(draw_curves(panels, xlabel='step'))
    print(f'{len(args.keys)} keys of {len(logs)} runs are in {args.out}')


def print_train_time(name, log):
    times = train_time(read_records(log), log)
    mean = sum(times.values()) / len(times)
    print(f'{name}: {mean:.4f} s per iteration')
    if len(times) > 1:
        slowest, fastest = max(times, key=times.get), min(times, key=times.get)
        print(f'  slowest epoch {slowest}: {times[slowest]:.4f} s')
        print(f'  fastest epoch {fastest}: {times[fastest]:.4f} s')


if __name__ == '__main__':
    sys.exit(main())
