"""What it costs to be able to resume exactly: steps of a training with and without it, in turns.

    python tools/analysis_tools/benchmark_safety.py CONFIG CONFIG --steps 10 --turns 12 --csv FILE

"With" is what tools/train.py does: random numbers by sample, loops that resume anywhere, signals,
and a look at losses and gradients in every step. "Without" are mmengine's own loops and hooks. Data
are loaded, no checkpoint is written. The median of all steps counts. What seeding adds to loading a
sample is measured alone, in a worker process.
"""

import argparse
import itertools
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from mmengine.visualization import Visualizer
from torch.utils.data import DataLoader, Dataset

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.analysis.benchmark import append_row, device_name
from mmlite.datasets.seeded import SeededDataset
from mmlite.engine import launch
from mmlite.engine.check_config import check_config
from mmlite.engine.cli import CfgOptions, check_out_file, tool
from mmlite.engine.resumable_loader import ResumableLoader

STOCK_LOOPS = {ours: stock for stock, ours in launch.TRAIN_LOOPS.items() if isinstance(stock, str)}


class Done(Exception):
    """Enough steps are measured."""


class Clock(Hook):
    """Seconds from the end of a step to the end of the next, loading included."""

    priority = 'LOWEST'

    def __init__(self, warmup, steps):
        self.warmup, self.steps = warmup, steps
        self.ends = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.ends.append(time.perf_counter())
        if len(self.ends) > self.warmup + self.steps:
            raise Done

    @property
    def seconds(self):
        ends = self.ends[self.warmup :]
        return [late - early for early, late in zip(ends, ends[1:], strict=False)]


class Empty(Dataset):
    """A sample that takes no time."""

    def __init__(self):
        self.sample = dict(data_samples=BaseDataElement())

    def __getitem__(self, index):
        return self.sample


class Stopwatch(Dataset):
    """Seconds that loading a sample takes, and seconds that seeding it takes.

    Args:
        dataset (SeededDataset): What is measured.
    """

    def __init__(self, dataset):
        self.dataset = dataset
        self.empty = SeededDataset(Empty(), dataset.seed)

    def __getitem__(self, index):
        begin = time.perf_counter()
        self.dataset[index]
        middle = time.perf_counter()
        self.empty[index]
        return middle - begin, time.perf_counter() - middle


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('configs', nargs='+', metavar='CONFIG', help='configs that train, with their data')
    add('--cfg-options', nargs='+', action=CfgOptions, metavar='KEY=VALUE', help='for every config')
    add('--steps', type=int, default=10, help='steps of a turn that count; default: 10')
    add('--warmup', type=int, default=3, help='steps before them; default: 3')
    add('--turns', type=int, default=12, help='how often each way is measured; default: 12')
    add('--samples', type=int, default=200, help='whose loading is measured; default: 200')
    add('--csv', type=Path, metavar='FILE', help='append a row for each config to this table')
    args = parser.parse_args(argv)
    for name, least in (('steps', 1), ('warmup', 0), ('turns', 1), ('samples', 1)):
        if getattr(args, name) < least:
            parser.error(f'argument --{name}: must be at least {least}, got {getattr(args, name)}')
    return args


def measure(path, args, safe):
    """Seconds of every step of one turn."""
    for kind in (Visualizer, *Visualizer.__subclasses__()):
        kind._instance_dict.clear()  # else it would log into the folder of the turn before
    with tempfile.TemporaryDirectory() as folder:
        cfg = launch.read_config(path, folder, args.cfg_options)
        check_config(cfg, 'train')
        cfg.default_hooks.checkpoint.interval = 10**9
        if safe:
            launch.add_hooks(cfg, launch.TRAIN_HOOKS)
        else:
            cfg.train_cfg.type = STOCK_LOOPS.get(cfg.train_cfg.type, cfg.train_cfg.type)
        runner = Runner.from_cfg(cfg)
        clock = Clock(args.warmup, args.steps)
        runner.register_hook(clock)
        try:
            runner.train()
        except Done:
            return clock.seconds
    return clock.seconds


def measure_loading(path, args):
    """Median seconds of loading a sample and of seeding it."""
    cfg = launch.read_config(path, cfg_options=args.cfg_options)
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    loader = ResumableLoader(Runner.build_dataloader(cfg.train_dataloader, seed=0), seed=0)
    indices = list(itertools.islice(iter(loader.batch_sampler.sampler), args.samples))
    watch = DataLoader(
        Stopwatch(loader.dataset), sampler=indices, num_workers=1, collate_fn=lambda items: items[0]
    )
    return [statistics.median(column) for column in zip(*watch, strict=True)]


def compare(path, args):
    """A row of the table."""
    sample, seeding = measure_loading(path, args)
    seconds = {False: [], True: []}
    for turn in range(args.turns):
        for safe in (turn % 2 == 1, turn % 2 == 0):  # neither is always the first
            seconds[safe] += measure(path, args, safe)
            print(
                f'turn {turn + 1} of {args.turns}, {"with" if safe else "without"}: '
                f'{1e3 * statistics.median(seconds[safe]):.1f} ms so far',
                flush=True,
            )
    without, with_ = (1e3 * statistics.median(seconds[safe]) for safe in (False, True))
    return dict(
        config=Path(path).stem,
        device=device_name(torch.device('cuda' if torch.cuda.is_available() else 'cpu')),
        threads=torch.get_num_threads(),
        steps=len(seconds[True]),
        without_ms=round(without, 2),
        with_ms=round(with_, 2),
        slower_percent=round(100 * (with_ / without - 1), 2),
        sample_ms=round(1e3 * sample, 2),
        seeding_ms=round(1e3 * seeding, 3),
        seeding_percent=round(100 * seeding / (sample - seeding), 2),
    )


@tool
def main(argv=None):
    args = parse_args(argv)
    if args.csv:
        check_out_file('--csv', args.csv)
    for path in args.configs:
        row = compare(path, args)
        print(
            f'{row["config"]}: {row["without_ms"]} ms a step without, {row["with_ms"]} ms with: '
            f'{row["slower_percent"]:+.1f} %; seeding is {row["seeding_percent"]:.1f} % of loading'
        )
        if args.csv:
            append_row(args.csv, row)


if __name__ == '__main__':
    sys.exit(main())
