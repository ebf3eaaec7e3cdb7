"""Write an HTML page about a training: curves, metrics, predictions beside ground truth.

python tools/analysis_tools/report.py work_dirs/quickstart --predictions predictions.pkl
"""

import argparse
import sys

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.analysis.report import write_report
from mmlite.engine.cli import positive_int, tool
from mmlite.errors import UserError


@tool
def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('work_dir', help='work directory of tools/train.py')
    parser.add_argument('--predictions', help='output of tools/test.py --out')
    parser.add_argument('--reconstructions', help='output of vis_reconstruction.py')
    parser.add_argument('--count', type=positive_int, default=12, help='validation images to show')
    parser.add_argument('--min-score', type=float, default=0.3, help='lowest score that is drawn')
    parser.add_argument('--title', help='heading of the page; default: Training report')
    args = parser.parse_args(argv)
    if not 0 <= args.min_score <= 1:
        raise UserError(f'--min-score must be a number from 0 to 1, got {args.min_score:g}')
    page = write_report(**vars(args))
    print(f'open {page.resolve()}')


if __name__ == '__main__':
    sys.exit(main())
