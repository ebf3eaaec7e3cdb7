"""Measure the speed of pre-training, of models side by side, or of a tracker.

    python tools/analysis_tools/benchmark.py pretrain CONFIG --device cuda --amp bf16 --csv FILE
    python tools/analysis_tools/benchmark.py models CONFIG CONFIG --device cuda --amp bf16
    python tools/analysis_tools/benchmark.py tracker CONFIG [WEIGHTS] --threads 2

pretrain: images/s of training steps on one batch, of the loader, and of both; memory and MACs.
Without data, random images go through the config's own pipeline and only the first is measured.
models: training and inference of classifiers, detectors or segmentation models on random images.
tracker: each way to run the network (torch as it is, fused, compiled; ONNX Runtime and OpenVINO,
where installed) on the same generated frames; boxes are compared with those of torch in fp32.
Models and ways take turns, so that what else the machine does meets all of them alike.
"""

import argparse
import re
import sys
import tempfile
from pathlib import Path

import torch
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmengine.runner import Runner, set_random_seed

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.analysis import benchmark, benchmark_tracker
from mmlite.analysis.benchmark import device_name, rounded
from mmlite.apis import init_model
from mmlite.apis.tasks import check_task
from mmlite.deploy.onnx_tracker import import_package
from mmlite.engine.build import as_device
from mmlite.engine.check_config import check_config, check_stage_data
from mmlite.engine.checks.data import datasets
from mmlite.engine.cli import (
    CfgOptions,
    check_out_file,
    non_negative_int,
    positive_int,
    tool,
)
from mmlite.engine.launch import read_config
from mmlite.errors import CheckpointError, DataError, UserError
from mmlite.utils import append_csv, render_table

SEED = 0
TOLERANCE = 0.5
"""Pixels by which boxes may differ from those of torch in fp32."""


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest='command', required=True, metavar='COMMAND')
    cuda = 'cuda' if torch.cuda.is_available() else 'cpu'
    for name, text, option, number, warmup, device in (
        ('pretrain', 'steps of a pre-training', '--steps', 50, 10, cuda),
        ('models', 'training and inference of models side by side', '--steps', 10, 1, cuda),
        ('tracker', 'ways to run a tracker', '--frames', 100, 10, 'cpu'),
    ):
        add = commands.add_parser(name, help=text).add_argument
        default = 'default: %(default)s'
        count = dict(type=positive_int, metavar='N')
        add('configs', nargs='+' if name == 'models' else 1, metavar='CONFIG')
        counted = option.removeprefix('--')
        add(option, **count, default=number, help=f'timed {counted}; {default}')
        help_warmup = f'{counted} before them; {default}'
        add('--warmup', type=non_negative_int, default=warmup, metavar='N', help=help_warmup)
        add('--device', choices=['cpu', 'cuda'], default=device, help=default)
        add('--csv', type=Path, metavar='FILE', help='append to this table')
        add('--cfg-options', nargs='+', action=CfgOptions, metavar='KEY=VALUE', help='overrides')
        if name != 'tracker':
            add('--amp', choices=['none', *benchmark.DTYPES], help='default: as in the config')
            add('--batch-size', **count, help='default: of the config')
        if name != 'pretrain':
            add('--turns', **count, default=5, help=default)
        if name == 'pretrain':
            add('--compile', action='store_true', help="torch.compile the model's loss")
            add(
                '--loader', choices=['auto', 'on', 'off'], default='auto',
                help='read the data set, or make random images; default: by whether the data exist',
            )  # fmt: skip
        if name == 'tracker':
            add(
                'weights', nargs='?', help='checkpoint; default: load_from of the config, or random'
            )
            add(
                '--variants', nargs='+', choices=benchmark_tracker.VARIANTS, metavar='NAME',
                help=f'of {", ".join(benchmark_tracker.VARIANTS)}; default: all that are installed',
            )  # fmt: skip
            add('--threads', **count, help="default: torch's")
    return parser.parse_args(argv)


def read_trained(path, args):
    """Read a config that trains, with the options, checked without its data."""
    cfg = read_config(path, cfg_options=args.cfg_options)
    if not cfg.get('train_dataloader') or not cfg.get('optim_wrapper'):
        raise UserError(f'{path} does not train: no train_dataloader or no optim_wrapper')
    benchmark.set_precision(cfg, args.amp, args.device)
    if args.batch_size:
        cfg.train_dataloader.batch_size = args.batch_size
    check_config(cfg, data=False)
    return cfg


def build_loader(cfg, choice, device):
    """Build an endless training loader, and say whether it reads the data set."""
    loader, real = cfg.train_dataloader.to_dict(), choice != 'off'
    loader.update(
        sampler=dict(type='InfiniteSampler', shuffle=True), pin_memory=device.type == 'cuda'
    )
    try:
        if real:
            check_stage_data(cfg, 'train')
    except DataError as error:
        if choice == 'on':
            raise
        print(f'no data, so random images, model only: {error}')
        real = False
    if not real:
        _, dataset = next(datasets(cfg, 'train'))
        loader['dataset'] = benchmark.RandomImages(dataset['pipeline'])
        loader.update(num_workers=0, persistent_workers=False)
        loader.pop('prefetch_factor', None)
    return Runner.build_dataloader(loader, seed=SEED), real


def measure_pretraining(args, device):
    cfg = read_trained(args.configs[0], args)
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    torch.backends.cudnn.benchmark = bool((cfg.get('env_cfg') or {}).get('cudnn_benchmark'))
    loader, real = build_loader(cfg, args.loader, device)
    model, optim_wrapper = benchmark.build_trained(cfg, device)
    batches = iter(loader)
    batch = model.data_preprocessor.cast_data(next(batches))
    pair = loader.collate_fn([loader.dataset[index] for index in range(2)])
    forward, backward = benchmark.training_macs(model, pair)
    if args.compile:
        # not train_step, as mmengine does: it would be compiled anew for every batch of samples
        model.loss = torch.compile(model.loss)
    images = cfg.train_dataloader.batch_size

    def rate(step):
        return rounded(images / benchmark.step_seconds(step, args.steps, args.warmup, device))

    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats(device)
    model_rate = rate(lambda: model.train_step(batch, optim_wrapper))
    memory = benchmark.peak_memory(device)
    row = dict(
        **machine(args.configs[0], device),
        workers=cfg.train_dataloader.get('num_workers', 0) if real else None,
        precision=benchmark.precision(cfg),
        compile='loss' if args.compile else 'no',
        batch_size=images,
        views=benchmark.view_sizes(batch['inputs']),
        data='data set' if real else 'random images',
        steps=args.steps,
        model_images_per_s=model_rate,
        loader_images_per_s=rate(lambda: next(batches)) if real else None,
        end_to_end_images_per_s=(
            rate(lambda: model.train_step(next(batches), optim_wrapper)) if real else None
        ),
        peak_memory_gib=rounded(memory and memory / 2**30),
        forward_gmac_per_image=rounded(forward / 1e9),
        backward_gmac_per_image=rounded(backward / 1e9),
    )
    print(render_table(('', ''), row.items()))
    append([row], args.csv)


def measure_models(args, device):
    torch.backends.cudnn.benchmark = True  # every batch has the same size
    contestants = [benchmark.Contestant(read_trained(path, args), device) for path in args.configs]
    for turn in range(args.turns):
        print(f'turn {turn + 1} of {args.turns}', flush=True)
        for contestant in contestants:
            contestant.take_turn(args.steps, args.warmup)
    rows = [
        machine(path, device) | contestant.summary(args.steps)
        for path, contestant in zip(args.configs, contestants, strict=True)
    ]
    columns = ('train_images_per_s', 'inference_images_per_s')
    lines = [
        (row['config'], *(f'{row[c]:.4g} (x{row[c] / rows[0][c]:.2f})' for c in columns))
        for row in rows
    ]
    print(render_table(('config', *columns), lines))
    append(rows, args.csv)


def measure_tracker(args, device):
    names = benchmark_tracker.choose_variants(args.variants, args.device)
    if args.threads:
        torch.set_num_threads(args.threads)
    cfg = read_config(args.configs[0], cfg_options=args.cfg_options)
    weights = args.weights or cfg.get('load_from')
    check_task(cfg, 'tracking', weights or 'random')
    model = init_model(cfg, weights, device)
    frames, box = benchmark_tracker.generate_frames(args.frames + 1, SEED)
    reference = benchmark_tracker.TimedTracker(model, frames, box, 0, device)
    reference.track(args.frames)
    with tempfile.TemporaryDirectory() as directory:
        networks = benchmark_tracker.build_variants(model, names, directory)
        runs = {
            name: benchmark_tracker.TimedTracker(network, frames, box, args.warmup, device)
            for name, network in networks.items()
        }
        for _ in range(args.turns):
            for run in runs.values():
                run.track(-(-args.frames // args.turns))
    rows = [
        dict(
            config=Path(args.configs[0]).stem,
            weights='trained' if weights else 'random',
            device=device_name(device),
            variant=name,
            version=re.split('[+-]', import_package(name.split('-')[0]).__version__)[0],
            precision=name.rsplit('-')[-1] if name.endswith(('bf16', 'int8')) else 'fp32',
            threads=torch.get_num_threads(),
            frames=args.frames,
            **run.summary(reference.boxes),
        )
        for name, run in runs.items()
    ]
    columns = ('variant', *list(rows[0])[-6:])
    print(render_table(columns, [[row[column] for column in columns] for row in rows]))
    append(rows, args.csv)
    differ = [
        row['variant']
        for row in rows
        if (weights or row['precision'] == 'fp32')
        and not row['largest_box_difference_px'] <= TOLERANCE
    ]
    if differ:
        raise CheckpointError(
            f'boxes of {", ".join(differ)} differ by more than {TOLERANCE} px from those of torch '
            f'in fp32'
        )


def machine(path, device):
    """First columns of a row."""
    return dict(
        config=Path(path).stem,
        device=device_name(device),
        torch=torch.__version__,
        threads=torch.get_num_threads(),
    )


def append(rows, path):
    if path:
        for row in rows:
            append_csv(path, row)
        print(f'appended to {path}')


@tool
def main(argv=None):
    args = parse_args(argv)
    as_device(args.device)
    if args.csv:
        check_out_file('--csv', args.csv)
    set_random_seed(SEED)
    MMLogger.get_current_instance().setLevel('WARNING')  # no list of parameter groups for a model
    device = torch.device(args.device)
    measure = dict(pretrain=measure_pretraining, models=measure_models, tracker=measure_tracker)
    try:
        measure[args.command](args, device)
    except torch.cuda.OutOfMemoryError as error:
        raise UserError(
            f'the batch does not fit into the memory of {device_name(device)}: give a smaller '
            f'--batch-size'
        ) from error


if __name__ == '__main__':
    sys.exit(main())
