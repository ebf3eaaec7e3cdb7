"""Train any model of the suite: detection, segmentation, classification, tracking, pre-training.

Example:
    python tools/train.py configs/det/mask-rcnn_vit-tiny-sfp_8xb8-amp-lsj-100e_coco-640px.py
"""

import argparse
import sys

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.engine import launch
from mmlite.engine.cli import (
    add_config_options,
    add_launch_options,
    export_local_rank,
    report_errors_once,
    tool,
)


def parse_args(argv):
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    add_config_options(parser)
    add_launch_options(parser)
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='resume from a checkpoint; without a file or with "auto", from the latest of the work '
        'directory, if there is one',
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate by the total batch size over auto_scale_lr.base_batch_size',
    )
    precision = parser.add_mutually_exclusive_group()
    precision.add_argument('--amp', action='store_true', help='train in mixed precision (GPU)')
    precision.add_argument('--no-amp', action='store_true', help='train in full precision')
    return parser.parse_args(argv)


def configure(args):
    cfg = launch.read_config(args.config, args.work_dir, args.cfg_options, args.launcher)
    if args.amp or args.no_amp:
        launch.set_amp(cfg, args.amp)
    if args.auto_scale_lr:
        launch.set_auto_scale_lr(cfg)
    if args.resume:
        launch.set_resume(cfg, args.resume)
    return cfg


@tool
def main(argv=None):
    args = parse_args(argv)
    export_local_rank(args)
    with report_errors_once(args.launcher):
        cfg = configure(args)
    launch.train(cfg)


if __name__ == '__main__':
    sys.exit(main())
