"""Draw what a masked pre-trainer makes of images: original, masked, reconstruction side by side.

    python tools/analysis_tools/vis_reconstruction.py CONFIG CHECKPOINT [IMAGES ...] --out FILE

Without images, some of the config's training images are drawn, spread over the data set.
"""

import argparse
import sys
from pathlib import Path

import torch
from mmengine.dataset import Compose, default_collate
from mmengine.registry import init_default_scope
from mmengine.runner import set_random_seed

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.analysis.reconstruction import (
    build_reconstructor,
    reconstruction_sheet,
    steady_pipeline,
)
from mmlite.apis.image_inputs import list_images
from mmlite.engine.check_config import check_stage_data
from mmlite.engine.checks.data import datasets
from mmlite.engine.cli import add_config_options, positive_int, tool
from mmlite.engine.config_file import load_config
from mmlite.errors import DataError, UserError
from mmlite.registry import DATASETS
from mmlite.utils import encode_jpeg, encode_png, write_bytes
from mmlite.visualization import even_indices


def read_samples(cfg, images, number):
    """Up to ``number`` packed samples, through the config's pipeline without random crops."""
    _, dataset = next(datasets(cfg, 'train'))
    dataset['pipeline'] = steady_pipeline(dataset['pipeline'])
    if images:
        files = [image.place for image in list_images(images)][:number]
        missing = [file for file in files if not Path(file).is_file()]
        if missing:
            raise DataError(f'image {missing[0]} does not exist')
        pipeline = Compose(dataset['pipeline'])
        return [pipeline(dict(img_path=file)) for file in files]
    check_stage_data(cfg, 'train')
    built = DATASETS.build(cfg.train_dataloader.dataset)
    return [built[index] for index in even_indices(len(built), number)]


@tool
def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_config_options(parser)
    add = parser.add_argument
    add('checkpoint', help='checkpoint of that config')
    add('images', nargs='*', help='image files, directories of them, or patterns')
    add('--out', type=Path, help='default: work_dirs/<config name>/reconstructions.png')
    add('--num', type=positive_int, default=8, help='images to draw at most; default: 8')
    add('--seed', type=int, default=0, help='seed of the masks; default: 0')
    args = parser.parse_args(argv)
    out = args.out or Path('work_dirs') / Path(args.config).stem / 'reconstructions.png'
    if out.suffix.lower() not in ('.png', '.jpg', '.jpeg'):
        raise UserError(f'--out {out} must end in .png or .jpg')
    cfg = load_config(args.config, args.cfg_options)
    if not cfg.get('model') or not cfg.get('train_dataloader'):
        raise UserError(f'{args.config} does not train: it has no model or no train_dataloader')
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    model = build_reconstructor(cfg, args.checkpoint, device)
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    set_random_seed(args.seed)
    samples = read_samples(cfg, args.images, args.num)
    sheet = reconstruction_sheet(model, default_collate(samples), args.seed)
    write_bytes(out, encode_png(sheet) if out.suffix.lower() == '.png' else encode_jpeg(sheet, 95))
    print(f'{out}: {len(samples)} images')
    if getattr(getattr(model, 'head', None), 'norm_pix', False):
        print(
            'the model predicts normalized patches: mean and deviation of each hidden patch come '
            'from the original image'
        )


if __name__ == '__main__':
    sys.exit(main())
