"""Draw a metric over one axis of sweeps, e.g. top-1 over the reserved leading blocks.

Example:
    python tools/analysis_tools/plot_sweep.py work_dirs/sweep_pets work_dirs/sweep_cars \\
        --x blocks --titles Pets Cars --out blocks.png
"""

import argparse
import sys
from pathlib import Path

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.analysis.sweep_curves import sweep_curves
from mmlite.engine.cli import check_out_file, tool
from mmlite.errors import UserError
from mmlite.visualization import draw_curves


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('sweeps', nargs='+', help='work directories of sweeps: a panel each')
    parser.add_argument('--x', required=True, help='axis of the sweep, a line for all else')
    parser.add_argument('--metric', help='default: what the sweep compared by')
    parser.add_argument('--titles', nargs='+', help='of the panels (default: the folders)')
    parser.add_argument('--out', type=Path, default=Path('sweep.png'), help='PNG file to write')
    return parser.parse_args(argv)


@tool
def main(argv=None):
    args = parse_args(argv)
    check_out_file('--out', args.out)
    titles = args.titles or [Path(path).name for path in args.sweeps]
    if len(titles) != len(args.sweeps) or len(set(titles)) != len(titles):
        raise UserError(f'{len(args.sweeps)} sweeps need as many different --titles')
    panels = {}
    for title, path in zip(titles, args.sweeps, strict=True):
        metric, curves = sweep_curves(path, args.x, args.metric)
        panels[f'{title}: {metric}'] = curves
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_bytes(draw_curves(panels, xlabel=args.x))
    print(f'{args.x} of {len(panels)} sweeps is in {args.out}')


if __name__ == '__main__':
    sys.exit(main())
