"""Evaluate a checkpoint of any model of the suite on the test data of its config.

Example:
    python tools/test.py CONFIG CHECKPOINT --out predictions.pkl --show-dir predictions
"""

import argparse
import sys

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.engine import launch
from mmlite.engine.cli import (
    add_config_options,
    add_launch_options,
    check_out_file,
    check_out_folder,
    export_local_rank,
    report_errors_once,
    tool,
)
from mmlite.errors import UserError


def parse_args(argv):
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    add_config_options(parser)
    parser.add_argument('checkpoint', help='checkpoint file')
    add_launch_options(parser)
    parser.add_argument(
        '--out', metavar='FILE', help='write predictions (FILE.pkl) or metrics (FILE.json)'
    )
    parser.add_argument('--show-dir', metavar='DIR', help='draw predictions into this directory')
    parser.add_argument(
        '--tta', action='store_true', help='test-time augmentation by tta_model and tta_pipeline'
    )
    return parser.parse_args(argv)


def configure(args):
    if args.out and not args.out.endswith(('.pkl', '.pickle', '.json')):
        raise UserError(f'--out {args.out} must end in .pkl (predictions) or .json (metrics)')
    if args.out:
        check_out_file('--out', args.out)
    if args.show_dir:
        check_out_folder('--show-dir', args.show_dir)
    cfg = launch.read_config(args.config, args.work_dir, args.cfg_options, args.launcher)
    launch.set_test(cfg, args.checkpoint)
    if args.tta:
        launch.set_tta(cfg)
    if args.out and not args.out.endswith('.json'):
        launch.set_dump(cfg, args.out)
    if args.show_dir:
        launch.set_show_dir(cfg, args.show_dir)
    return cfg


@tool
def main(argv=None):
    args = parse_args(argv)
    export_local_rank(args)
    with report_errors_once(args.launcher):
        cfg = configure(args)
    launch.test(cfg, out=args.out if args.out and args.out.endswith('.json') else None)


if __name__ == '__main__':
    sys.exit(main())
