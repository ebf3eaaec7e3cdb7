"""Parameters and multiply-adds of a config's model, by part.

    python tools/analysis_tools/get_flops.py CONFIG --shape 640

Matrix products (attention included) and convolutions are counted for one image, without memory or
time: the model is built on the meta device. Detectors are counted part by part with a fixed number
of regions.
"""

import argparse
import sys

import torch
from mmengine.registry import init_default_scope

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.analysis.complexity import (
    detector_complexity,
    format_complexity,
    model_complexity,
    tracker_complexity,
)
from mmlite.engine.check_config import check_config
from mmlite.engine.cli import add_config_options, tool
from mmlite.engine.config_file import load_config
from mmlite.errors import UserError
from mmlite.registry import MODELS


def parse_args(argv):
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    add_config_options(parser)
    parser.add_argument(
        '--shape', type=int, nargs='+', metavar='PX',
        help='input size: one number for a square, or height and width '
        '(default: image_size of the config, else 224)',
    )  # fmt: skip
    parser.add_argument('--rois', type=int, default=1000, help='regions in the box head')
    parser.add_argument('--mask-rois', type=int, default=100, help='regions in the mask head')
    return parser.parse_args(argv)


def input_shape(given, cfg):
    """(height, width) from the option, or from the config's ``image_size``."""
    sides = given or [cfg.get('image_size', 224)]
    if len(sides) > 2 or min(sides) < 1:
        raise UserError(f'--shape takes one or two positive numbers of pixels, not {sides}')
    return (sides[0], sides[-1])


@tool
def main(argv=None):
    args = parse_args(argv)
    for name in ('rois', 'mask_rois'):
        if getattr(args, name) < 1:
            option = name.replace('_', '-')
            raise UserError(f'--{option} is {getattr(args, name)}; give 1 or more')
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
    shape = input_shape(args.shape, cfg)
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
