"""Draw what a masked pre-trainer makes of images: original, masked, reconstruction side by side.

    python tools/analysis_tools/vis_reconstruction.py CONFIG CHECKPOINT [IMAGES ...] --out FILE

Without images, some of the config's training images are drawn, spread over the data set.
"""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine import registry as root
from mmengine.dataset import Compose, default_collate
from mmengine.registry import init_default_scope
from mmengine.runner import set_random_seed

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.analysis.reconstruction import (
    build_reconstructor,
    reconstruction_sheet,
    steady_pipeline,
)
from mmlite.datasets.subsets import EXTENSIONS
from mmlite.engine.check_config import check_stage_data
from mmlite.engine.checks.data import datasets
from mmlite.engine.checks.types import TypeChecker
from mmlite.engine.cli import add_config_options, tool
from mmlite.engine.config_file import load_config
from mmlite.errors import DataError, UserError
from mmlite.registry import DATASETS


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_config_options(parser)
    add = parser.add_argument
    add('checkpoint', help='checkpoint of that config')
    add('images', nargs='*', type=Path, help='image files or folders of them')
    add('--out', type=Path, help='default: work_dirs/<config name>/reconstructions.png')
    add('--num', type=int, default=8, help='images to draw at most; default: 8')
    add('--seed', type=int, default=0, help='of the masks; default: 0')
    return parser.parse_args(argv)


def find_files(paths):
    """Image files among ``paths`` and in folders among them.

    Raises:
        DataError: If a path does not exist, or a folder has no image.
    """
    files = []
    for path in paths:
        if not path.exists():
            raise DataError(f'image {path} does not exist')
        if path.is_dir():
            inside = sorted(p for p in path.rglob('*') if p.suffix.lower() in EXTENSIONS)
            if not inside:
                raise DataError(f'folder {path} has no image ({", ".join(EXTENSIONS)})')
            files += inside
        else:
            files.append(path)
    return files


def read_samples(cfg, paths, number):
    """Up to ``number`` packed samples, through the config's pipeline without random crops."""
    _, dataset = next(datasets(cfg, 'train'))
    dataset['pipeline'] = steady_pipeline(dataset['pipeline'])
    if paths:
        pipeline = Compose(dataset['pipeline'])
        return [pipeline(dict(img_path=str(file))) for file in find_files(paths)[:number]]
    built = DATASETS.build(cfg.train_dataloader.dataset)
    indices = np.linspace(0, len(built) - 1, min(number, len(built))).round().astype(int)
    return [built[index] for index in indices.tolist()]


@tool
def main(argv=None):
    args = parse_args(argv)
    if args.num < 1:
        raise UserError(f'--num is {args.num}; give 1 or more')
    out = args.out or Path('work_dirs') / Path(args.config).stem / 'reconstructions.png'
    if out.suffix.lower() not in ('.png', '.jpg', '.jpeg'):
        raise UserError(f'--out {out} must end in .png or .jpg')
    cfg = load_config(args.config, args.cfg_options)
    scope = cfg.get('default_scope', 'mmengine')
    if not cfg.get('model') or not cfg.get('train_dataloader'):
        raise UserError(f'{args.config} does not train: it has no model or no train_dataloader')
    TypeChecker(scope).walk(cfg.model, 'model', root.MODELS)
    if not args.images:
        check_stage_data(cfg, 'train')
    init_default_scope(scope)
    model = build_reconstructor(cfg.model, args.checkpoint)
    model.to('cuda' if torch.cuda.is_available() else 'cpu')
    set_random_seed(args.seed)
    samples = read_samples(cfg, args.images, args.num)
    sheet = reconstruction_sheet(model, default_collate(samples), args.seed)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(cv2.imencode(out.suffix, sheet[..., ::-1])[1].tobytes())
    except OSError as error:
        raise DataError(f'cannot write {out}: {error.strerror}') from error
    print(f'{out}: {len(samples)} images')


if __name__ == '__main__':
    sys.exit(main())
