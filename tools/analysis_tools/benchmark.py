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
from mmlite.analysis.benchmark_models import Contestant
from mmlite.apis import init_model
from mmlite.apis.sot_inferencer import load_network
from mmlite.apis.tasks import check_task
from mmlite.deploy.onnx_tracker import import_package
from mmlite.engine.check_config import check_config, check_stage_data
from mmlite.engine.checks.data import datasets
from mmlite.engine.cli import (
    CfgOptions,
    check_device,
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
    pretrain = commands.add_parser('pretrain', help='steps of a pre-training')
    models = commands.add_parser('models', help='training and inference of models side by side')
    tracker = commands.add_parser('tracker', help='ways to run a tracker')
    pretrain.add_argument('configs', nargs=1, metavar='CONFIG')
    models.add_argument('configs', nargs='+', metavar='CONFIG')
    tracker.add_argument('configs', nargs=1, metavar='CONFIG')
    cuda = 'cuda' if torch.cuda.is_available() else 'cpu'
    for command, counted, number, warmup, device in (
        (pretrain, 'steps', 50, 10, cuda),
        (models, 'steps', 10, 1, cuda),
        (tracker, 'frames', 100, 10, 'cpu'),
    ):
        add = command.add_argument
        count = dict(type=positive_int, default=number, metavar='N')
        add(f'--{counted}', **count, help=f'timed {counted}; default: {number}')
        add(
            '--warmup', type=non_negative_int, default=warmup, metavar='N',
            help=f'{counted} before them; default: {warmup}',
        )  # fmt: skip
        add('--device', choices=['cpu', 'cuda'], default=device, help='default: %(default)s')
        add('--csv', type=Path, metavar='FILE', help='append to this table')
        add('--cfg-options', nargs='+', action=CfgOptions, metavar='KEY=VALUE', help='overrides')
    for command in (pretrain, models):
        add = command.add_argument
        add('--amp', choices=['none', *benchmark.DTYPES], help='default: as in the config')
        add('--batch-size', type=positive_int, metavar='N', help='default: of the config')
    for command in (models, tracker):
        command.add_argument('--turns', type=positive_int, default=5, help='default: %(default)s')
    pretrain.add_argument('--compile', action='store_true', help="torch.compile the model's loss")
    pretrain.add_argument(
        '--loader', choices=['auto', 'on', 'off'], default='auto',
        help='read the data set, or make random images; default: by whether the data exist',
    )  # fmt: skip
    add = tracker.add_argument
    add('weights', nargs='?', help='checkpoint; default: load_from of the config, or random')
    add(
        '--variants', nargs='+', choices=benchmark_tracker.VARIANTS, metavar='NAME',
        help=f'of {", ".join(benchmark_tracker.VARIANTS)}; default: all that are installed here',
    )  # fmt: skip
    add('--threads', type=positive_int, metavar='N', help="default: torch's")
    return parser.parse_args(argv)


def prepare(path, args):
    """Read a config that trains, with the options, checked without its data."""
    cfg = read_config(path, cfg_options=args.cfg_options)
    if not cfg.get('train_dataloader') or not cfg.get('optim_wrapper'):
        raise UserError(f'{path} does not train: no train_dataloader or no optim_wrapper')
    benchmark.set_precision(cfg, args.amp, args.device)
    if args.batch_size:
        cfg.train_dataloader.batch_size = args.batch_size
    check_config(cfg, data=False)
    return cfg


def has_data(cfg, choice):
    """Whether to read the data set; a DataError where it is asked for but missing."""
    if choice == 'off':
        return False
    try:
        check_stage_data(cfg, 'train')
    except DataError as error:
        if choice == 'on':
            raise
        print(f'no data, so random images, model only: {error}')
        return False
    return True


def build_loader(cfg, real, device):
    """An endless training loader over the data set or random images."""
    loader = cfg.train_dataloader.to_dict()
    loader.update(
        sampler=dict(type='InfiniteSampler', shuffle=True), pin_memory=device.type == 'cuda'
    )
    if not real:
        _, dataset = next(datasets(cfg, 'train'))
        loader['dataset'] = benchmark.RandomImages(dataset['pipeline'])
        loader.update(num_workers=0, persistent_workers=False)
        loader.pop('prefetch_factor', None)
    return Runner.build_dataloader(loader, seed=SEED)


def measure_pretraining(args, device):
    """A row of the table in a list."""
    (path,) = args.configs
    cfg = prepare(path, args)
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    torch.backends.cudnn.benchmark = bool((cfg.get('env_cfg') or {}).get('cudnn_benchmark'))
    real = has_data(cfg, args.loader)
    loader = build_loader(cfg, real, device)
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
    loader_rate = rate(lambda: next(batches)) if real else None
    both = rate(lambda: model.train_step(next(batches), optim_wrapper)) if real else None
    row = dict(
        config=Path(path).stem,
        device=device_name(device),
        torch=torch.__version__,
        threads=torch.get_num_threads(),
        workers=cfg.train_dataloader.get('num_workers', 0) if real else None,
        precision=benchmark.precision(cfg),
        compile='loss' if args.compile else 'no',
        batch_size=images,
        views=benchmark.view_sizes(batch['inputs']),
        data='data set' if real else 'random images',
        steps=args.steps,
        model_images_per_s=model_rate,
        loader_images_per_s=loader_rate,
        end_to_end_images_per_s=both,
        peak_memory_gib=rounded(memory and memory / 2**30),
        forward_gmac_per_image=rounded(forward / 1e9),
        backward_gmac_per_image=rounded(backward / 1e9),
    )
    print(render_table(('', ''), row.items()))
    return [row]


def measure_models(args, device):
    """A row of the table for each config."""
    torch.backends.cudnn.benchmark = True  # every batch has the same size
    contestants = [
        Contestant(Path(path).stem, prepare(path, args), device) for path in args.configs
    ]
    for turn in range(args.turns):
        print(f'turn {turn + 1} of {args.turns}', flush=True)
        for contestant in contestants:
            contestant.take_turn(args.steps, args.warmup)
    rows = [contestant.row(args.turns, args.steps) for contestant in contestants]
    columns = ('train_images_per_s', 'inference_images_per_s')
    lines = [
        (row['config'], *(f'{row[c]:.4g} (x{row[c] / rows[0][c]:.2f})' for c in columns))
        for row in rows
    ]
    print(render_table(('config', *columns), lines))
    return rows


def measure_tracker(args, device):
    """A row of the table for each way to run the network."""
    names = benchmark_tracker.choose_variants(args.variants, args.device)
    if args.threads:
        torch.set_num_threads(args.threads)
    cfg = read_config(args.configs[0], cfg_options=args.cfg_options)
    trained = bool(args.weights or cfg.get('load_from'))
    check_task(cfg, 'tracking', args.weights or 'random')
    if trained:
        model = load_network(cfg, args.weights, args.device)
    else:
        model = init_model(cfg, device=device)
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
            weights='trained' if trained else 'random',
            device=device_name(device),
            variant=name,
            version=re.split('[+-]', import_package(name.split('-')[0]).__version__)[0],
            precision=benchmark_tracker.variant_precision(name),
            threads=torch.get_num_threads(),
            frames=len(run.boxes),
            **run.summary(reference.boxes),
        )
        for name, run in runs.items()
    ]
    columns = list(rows[0])[-6:]
    lines = [(row['variant'], *(row[column] for column in columns)) for row in rows]
    print(render_table(('variant', *columns), lines))
    return rows


@tool
def main(argv=None):
    args = parse_args(argv)
    check_device(args.device)
    if args.csv:
        check_out_file('--csv', args.csv)
    set_random_seed(SEED)
    MMLogger.get_current_instance().setLevel('WARNING')  # no list of parameter groups for a model
    device = torch.device(args.device)
    measure = dict(pretrain=measure_pretraining, models=measure_models, tracker=measure_tracker)
    try:
        rows = measure[args.command](args, device)
    except torch.cuda.OutOfMemoryError as error:
        raise UserError(
            f'the batch does not fit into the memory of {device_name(device)}: give a smaller '
            f'--batch-size'
        ) from error
    for row in rows if args.csv else ():
        append_csv(args.csv, row)
    if args.csv:
        print(f'appended to {args.csv}')
    differ = [
        row['variant']
        for row in rows
        if args.command == 'tracker'
        and (row['precision'] == 'fp32' or row['weights'] == 'trained')
        and not row['largest_box_difference_px'] <= TOLERANCE
    ]
    if differ:
        raise CheckpointError(
            f'boxes of {", ".join(differ)} differ by more than {TOLERANCE} px from those of torch '
            f'in fp32'
        )


if __name__ == '__main__':
    sys.exit(main())
