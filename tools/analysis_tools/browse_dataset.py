"""Write pictures of a data set with its ground truth, before, during or after augmentation.

Example:
    python tools/analysis_tools/browse_dataset.py CONFIG --output-dir browse --mode pipeline
"""

import argparse
import sys
from pathlib import Path

import cv2
from mmengine.registry import init_default_scope

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.engine.browse import Recorder, picture
from mmlite.engine.check_config import check_stage_data
from mmlite.engine.cli import add_config_options, check_out_folder, tool
from mmlite.engine.config_file import load_config
from mmlite.errors import UserError
from mmlite.registry import DATASETS


def parse_args(argv):
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    add_config_options(parser)
    parser.add_argument('--output-dir', '-o', type=Path, required=True, help='where pictures go')
    parser.add_argument('--phase', choices=['train', 'val', 'test'], default='train')
    parser.add_argument(
        '--mode',
        choices=['original', 'transformed', 'pipeline'],
        default='transformed',
        help='as loaded, as the model gets it, or after every step side by side',
    )
    parser.add_argument('--number', '-n', type=int, default=20, help='samples to draw')
    parser.add_argument(
        '--not-show', action='store_true', help='accepted and ignored: no window is ever opened'
    )
    return parser.parse_args(argv)


@tool
def main(argv=None):
    args = parse_args(argv)
    if args.number < 1:
        raise UserError(f'--number is {args.number}; give 1 or more')
    check_out_folder('--output-dir', args.output_dir)
    cfg = load_config(args.config, args.cfg_options)
    check_stage_data(cfg, args.phase)
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    dataset = DATASETS.build(cfg[f'{args.phase}_dataloader'].dataset)
    names = (getattr(dataset, 'metainfo', None) or {}).get('classes') or ()
    recorder = Recorder(dataset)
    args.output_dir.mkdir(parents=True, exist_ok=True)
    count = min(args.number, len(dataset))
    for index in range(count):
        sample, steps = recorder[index]
        image = picture(sample, steps, args.mode, names, bgr=_is_bgr(cfg))
        stem = Path(steps[0].data.get('img_path', 'sample')).stem
        cv2.imwrite(str(args.output_dir / f'{index:06d}_{stem}.png'), image[..., ::-1])
    print(f'{count} pictures of {len(dataset)} samples are in {args.output_dir}')


def _is_bgr(cfg):
    """Whether packed images still wait for the model to turn BGR into RGB."""
    preprocessor = (cfg.get('model') or {}).get('data_preprocessor') or cfg.get('data_preprocessor')
    preprocessor = preprocessor or {}
    return bool(preprocessor.get('bgr_to_rgb', preprocessor.get('to_rgb', False)))


if __name__ == '__main__':
    sys.exit(main())
