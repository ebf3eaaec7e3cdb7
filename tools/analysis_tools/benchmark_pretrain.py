"""Speed, memory and multiply-adds of a pre-training config.

    python tools/analysis_tools/benchmark_pretrain.py CONFIG --device cuda --amp bf16 --csv FILE

Three rates in images/s: model only (whole training steps on one batch that lies on the device
already), loader only, and end to end. Without data, random images go through the config's own
pipeline and only the first is measured.
"""

import argparse
import sys
from pathlib import Path

import torch
from mmengine.registry import init_default_scope
from mmengine.runner import Runner, set_random_seed

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.analysis.benchmark import (
    RandomImages,
    append_row,
    device_name,
    peak_memory,
    timed,
    training_macs,
    view_sizes,
)
from mmlite.analysis.benchmark_config import (
    add_benchmark_options,
    build_trained,
    check_benchmark_options,
    precision,
    rounded,
    set_precision,
)
from mmlite.engine.check_config import check_config, check_stage_data
from mmlite.engine.checks.data import datasets
from mmlite.engine.cli import add_config_options, tool
from mmlite.engine.launch import read_config
from mmlite.errors import DataError, UserError

SEED = 0


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_config_options(parser)
    add_benchmark_options(parser, steps=50, warmup=10)
    add = parser.add_argument
    add('--compile', action='store_true', help="torch.compile the model's loss")
    add(
        '--loader', choices=['auto', 'on', 'off'], default='auto',
        help='read the data set, or make random images; default: by whether the data are there',
    )  # fmt: skip
    add('--csv', type=Path, metavar='FILE', help='append a row to this table')
    return parser.parse_args(argv)


def prepare(args):
    """The config as the options want it, checked without its data."""
    check_benchmark_options(args)
    cfg = read_config(args.config, cfg_options=args.cfg_options)
    if not cfg.get('train_dataloader') or not cfg.get('optim_wrapper'):
        raise UserError(f'{args.config} does not train: no train_dataloader or no optim_wrapper')
    set_precision(cfg, args.amp, args.device)
    if args.batch_size:
        cfg.train_dataloader.batch_size = args.batch_size
    check_config(cfg, data=False)
    return cfg


def has_data(cfg, wanted):
    """Whether to read the data set.

    Raises:
        DataError: The data are asked for but missing.
    """
    if wanted == 'off':
        return False
    try:
        check_stage_data(cfg, 'train')
    except DataError as error:
        if wanted == 'on':
            raise
        print(f'no data, so random images, model only: {error}')
        return False
    return True


def build_loader(cfg, real, device):
    """The training loader without an end, over the data set or random images."""
    loader = cfg.train_dataloader.to_dict()
    loader.update(
        sampler=dict(type='InfiniteSampler', shuffle=True), pin_memory=device.type == 'cuda'
    )
    if not real:
        _, dataset = next(datasets(cfg, 'train'))
        loader['dataset'] = RandomImages(dataset['pipeline'])
        loader.update(num_workers=0, persistent_workers=False)
        loader.pop('prefetch_factor', None)
    return Runner.build_dataloader(loader, seed=SEED)


def measure(cfg, args, device):
    """Rates in images/s, peak memory in bytes, multiply-adds and what the batch looks like."""
    real = has_data(cfg, args.loader)
    loader = build_loader(cfg, real, device)
    model, optim_wrapper = build_trained(cfg, device)
    batches = iter(loader)
    batch = model.data_preprocessor.cast_data(next(batches))
    forward, backward = training_macs(model, batch)
    if args.compile:
        # not train_step, as mmengine does: it would be compiled anew for every batch of samples
        model.loss = torch.compile(model.loss)

    def rate(step):
        seconds = timed(step, args.steps, args.warmup, device)
        return args.steps * cfg.train_dataloader.batch_size / seconds

    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats(device)
    found = dict(
        data='data set' if real else 'random images',
        views=view_sizes(batch['inputs']),
        model=rate(lambda: model.train_step(batch, optim_wrapper)),
        memory=peak_memory(device),
        forward=forward,
        backward=backward,
    )
    if real:
        found['loader'] = rate(lambda: next(batches))
        found['end_to_end'] = rate(lambda: model.train_step(next(batches), optim_wrapper))
    return found


def table_row(cfg, args, device, found):
    """One row of the CSV table."""
    return dict(
        config=Path(args.config).stem,
        device=device_name(device),
        torch=torch.__version__,
        threads=torch.get_num_threads(),
        workers=cfg.train_dataloader.get('num_workers', 0) if 'loader' in found else None,
        precision=precision(cfg),
        compile='loss' if args.compile else 'no',
        batch_size=cfg.train_dataloader.batch_size,
        views=found['views'],
        data=found['data'],
        steps=args.steps,
        model_images_per_s=rounded(found['model']),
        loader_images_per_s=rounded(found.get('loader')),
        end_to_end_images_per_s=rounded(found.get('end_to_end')),
        peak_memory_gib=rounded(found['memory'] / 2**30),
        forward_gmac_per_image=rounded(found['forward'] / 1e9),
        backward_gmac_per_image=rounded(found['backward'] / 1e9),
    )


@tool
def main(argv=None):
    args = parse_args(argv)
    cfg = prepare(args)
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    set_random_seed(SEED)
    torch.backends.cudnn.benchmark = bool((cfg.get('env_cfg') or {}).get('cudnn_benchmark'))
    device = torch.device(args.device)
    try:
        found = measure(cfg, args, device)
    except torch.cuda.OutOfMemoryError as error:
        raise UserError(
            f'a batch of {cfg.train_dataloader.batch_size} does not fit into the memory of '
            f'{device_name(device)}: give a smaller --batch-size'
        ) from error
    row = table_row(cfg, args, device, found)
    for key, value in row.items():
        print(f'{key:<24}{"-" if value is None else value}')
    if args.csv:
        append_row(args.csv, row)
        print(f'appended to {args.csv}')


if __name__ == '__main__':
    sys.exit(main())
