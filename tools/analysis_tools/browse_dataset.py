"""Write images of a data set with its ground truth, before, during or after augmentation.

Example:
    python tools/analysis_tools/browse_dataset.py CONFIG --output-dir browse --mode pipeline
"""

import argparse
import sys
from pathlib import Path

from mmengine.registry import init_default_scope

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.engine.browse import Recorder, draw_steps
from mmlite.engine.check_config import check_stage_data
from mmlite.engine.cli import add_config_options, check_out_folder, positive_int, tool
from mmlite.engine.config_file import load_config
from mmlite.registry import DATASETS
from mmlite.utils import encode_png, write_bytes


@tool
def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    add_config_options(parser)
    add = parser.add_argument
    add('--output-dir', '-o', type=Path, required=True, help='directory of the images')
    add('--phase', choices=['train', 'val', 'test'], default='train')
    modes = 'as loaded, as the model gets it, or after every step side by side'
    choices = ['original', 'transformed', 'pipeline']
    add('--mode', choices=choices, default='transformed', help=modes)
    add('--number', '-n', type=positive_int, default=20, help='samples to draw')
    add('--not-show', action='store_true', help='accepted and ignored: no window is ever opened')
    args = parser.parse_args(argv)
    check_out_folder('--output-dir', args.output_dir)
    cfg = load_config(args.config, args.cfg_options)
    check_stage_data(cfg, args.phase)
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    dataset = DATASETS.build(cfg[f'{args.phase}_dataloader'].dataset)
    names = (getattr(dataset, 'metainfo', None) or {}).get('classes') or ()
    preprocessor = (cfg.get('model') or {}).get('data_preprocessor') or cfg.get('data_preprocessor')
    preprocessor = preprocessor or {}
    # packed images are BGR where the model converts them
    bgr = bool(preprocessor.get('bgr_to_rgb', preprocessor.get('to_rgb', False)))
    recorder = Recorder(dataset)
    count = min(args.number, len(dataset))
    for index in range(count):
        sample, steps = recorder[index]
        image = draw_steps(sample, steps, args.mode, names, bgr)
        stem = Path(steps[0].data.get('img_path', 'sample')).stem
        write_bytes(args.output_dir / f'{index:06d}_{stem}.png', encode_png(image))
    print(f'{count} images of {len(dataset)} samples are in {args.output_dir}')


if __name__ == '__main__':
    sys.exit(main())
