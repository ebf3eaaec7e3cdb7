"""Write a page about a training run: curves, metrics, predictions beside ground truth.

python tools/analysis_tools/report.py work_dirs/quickstart --predictions predictions.pkl
"""

import argparse
import sys

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.analysis.report import write_report
from mmlite.engine.cli import tool
from mmlite.errors import UserError


@tool
def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('work_dir', help='work directory of tools/train.py')
    parser.add_argument('--predictions', help='file that tools/test.py --out wrote')
    parser.add_argument('--reconstructions', help='picture that vis_reconstruction.py wrote')
    parser.add_argument('--count', type=int, default=12, help='validation pictures to show')
    parser.add_argument('--min-score', type=float, default=0.3, help='draw predictions from here')
    args = parser.parse_args(argv)
    if args.count < 1:
        raise UserError(f'--count is {args.count}; give 1 or more')
    if not 0 <= args.min_score <= 1:
        raise UserError(f'--min-score is {args.min_score:g}; give a number from 0 to 1')
    page = write_report(
        args.work_dir, args.predictions, args.count, args.min_score, args.reconstructions
    )
    print(f'open {page.resolve()}')


if __name__ == '__main__':
    sys.exit(main())
