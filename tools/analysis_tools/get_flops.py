"""Parameters and MACs of a config's model, by part.

    python tools/analysis_tools/get_flops.py CONFIG --shape 640

Matrix products (attention included) and convolutions are counted for one image, without memory or
time: the model is built on the meta device. Detectors are counted part by part with a fixed number
of regions.
"""

import argparse
import sys

import torch
from mmengine.registry import init_default_scope
from mmengine.utils import to_2tuple

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.analysis.complexity import (
    detector_complexity,
    format_complexity,
    model_complexity,
    tracker_complexity,
)
from mmlite.engine.check_config import check_config
from mmlite.engine.cli import add_config_options, positive_int, tool
from mmlite.engine.config_file import load_config
from mmlite.errors import UserError
from mmlite.registry import MODELS


def parse_args(argv):
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    add_config_options(parser)
    parser.add_argument(
        '--shape', type=positive_int, nargs='+', metavar='PX',
        help='input size: one number for a square, or height and width '
        '(default: image_size of the config, else 224)',
    )  # fmt: skip
    for flag, count, head in (('--rois', 1000, 'box'), ('--mask-rois', 100, 'mask')):
        text = f'regions in the {head} head; default: {count}'
        parser.add_argument(flag, type=positive_int, default=count, metavar='N', help=text)
    return parser.parse_args(argv)


@tool
def main(argv=None):
    args = parse_args(argv)
    cfg = load_config(args.config, args.cfg_options)
    if not cfg.get('test_dataloader'):
        raise UserError(
            f'{args.config} has no test: this tool counts evaluation; for a training step, as of a '
            f'pre-training, use tools/analysis_tools/benchmark.py pretrain'
        )
    check_config(cfg, 'test', data=False)
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    parts, what = complexity(model, args, cfg)
    print(f'{args.config} at {what}')
    print(format_complexity(parts))


def complexity(model, args, cfg):
    """Cost by part, and what it is the cost of."""
    if hasattr(model, 'search_size'):
        if args.shape:
            raise UserError('--shape: a tracker has the sizes of its config, change model.*_size')
        sizes = f'{model.template_size} (template) and {model.search_size} pixels (search region)'
        return tracker_complexity(model), sizes
    sides = args.shape or to_2tuple(cfg.get('image_size', 224))
    if len(sides) > 2:
        raise UserError(f'--shape takes one or two numbers of pixels, got {len(sides)}')
    shape = (sides[0], sides[-1])
    what = f'{shape[0]}x{shape[1]} pixels, one image'
    try:
        if hasattr(model, 'roi_head'):
            return detector_complexity(model, shape, args.rois, args.mask_rois), what
        return model_complexity(model, shape), what
    except RuntimeError as error:
        if not args.shape:
            raise
        raise UserError(
            f'--shape: the model does not take {shape[0]}x{shape[1]} pixels: {error}'
        ) from error


if __name__ == '__main__':
    sys.exit(main())
