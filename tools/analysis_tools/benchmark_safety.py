"""What it costs to be able to resume exactly: steps of a training with and without it, in turns.

    python tools/analysis_tools/benchmark_safety.py CONFIG CONFIG --rounds 6 --turns 6 --csv FILE

"With" is what tools/train.py does: random numbers by sample, loops that resume anywhere, signals,
and a look at losses and gradients in every step. "Without" are mmengine's own loops and hooks. Data
are loaded, no checkpoint is written, nothing is validated. Two trainings of the same weights take
turns of a few steps in one process, so that both find the machine as fast or as busy as it is: the
medians of each turn are compared. Each round has a new process. What seeding adds to loading a
sample is measured alone, in a worker process.
"""

import argparse
import itertools
import sys
import time
from pathlib import Path

import numpy as np
import torch
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from scipy import stats
from torch.utils.data import DataLoader, Dataset

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.analysis.benchmark import append_row, device_name
from mmlite.analysis.safety import Trainings
from mmlite.datasets.seeded import SeededDataset
from mmlite.engine import launch
from mmlite.engine.cli import CfgOptions, check_out_file, tool
from mmlite.engine.loops import ResumableLoader


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
    add('--steps', type=int, default=4, help='steps of a turn that count; default: 4')
    add('--warmup', type=int, default=2, help='steps before them; default: 2')
    add('--turns', type=int, default=6, help='of each training in a round; default: 6')
    add('--rounds', type=int, default=6, help='with a process of its own; default: 6')
    add('--samples', type=int, default=200, help='whose loading is measured; default: 200')
    add('--csv', type=Path, metavar='FILE', help='append a row for each config to this table')
    args = parser.parse_args(argv)
    for name, least in (('steps', 1), ('warmup', 0), ('turns', 1), ('rounds', 2), ('samples', 1)):
        if getattr(args, name) < least:
            parser.error(f'argument --{name}: must be at least {least}, got {getattr(args, name)}')
    return args


def measure(path, args):
    """Milliseconds of steps: an array (rounds, turns, 2, steps), without and with."""
    return 1e3 * np.array([measure_round(path, args, number) for number in range(args.rounds)])


def measure_round(path, args, number):
    """Seconds of steps of a new process."""
    seconds = []
    with Trainings(path, args.cfg_options, args.warmup, args.steps) as trainings:
        for turn in range(args.turns):
            order = (False, True) if (number + turn) % 2 == 0 else (True, False)
            taken = {safe: trainings.turn(safe) for safe in order}
            seconds.append([taken[False], taken[True]])
    without, with_ = 1e3 * np.median(seconds, axis=(0, 2))
    print(
        f'round {number + 1} of {args.rounds}: {without:.1f} ms without, {with_:.1f} ms with',
        flush=True,
    )
    return seconds


def slowdown(ms):
    """Percent by which steps with are slower, and the standard error of that.

    Args:
        ms (ndarray): See :func:`measure`. The medians of a turn are compared with each other. Only
            rounds are independent: a process has its place in memory, and keeps it.

    Returns:
        tuple[float, float]: Both in percent.
    """
    without, with_ = np.moveaxis(np.median(ms, axis=3), 2, 0)
    percent = 100 * (with_ / without - 1).mean(axis=1)
    return percent.mean(), stats.sem(percent)


def measure_loading(path, args):
    """Median milliseconds of loading a sample and of seeding it."""
    cfg = launch.read_config(path, cfg_options=args.cfg_options)
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    loader = ResumableLoader(Runner.build_dataloader(cfg.train_dataloader, seed=0), seed=0)
    indices = list(itertools.islice(iter(loader.batch_sampler.sampler), args.samples))
    watch = DataLoader(
        Stopwatch(loader.dataset), sampler=indices, num_workers=1, collate_fn=lambda items: items[0]
    )
    return np.median(list(watch), axis=0) * 1e3


def compare(path, args):
    """A row of the table."""
    sample, seeding = measure_loading(path, args)
    ms = measure(path, args)
    without, with_ = np.median(ms, axis=(0, 1, 3))
    percent, error = slowdown(ms)
    return dict(
        config=Path(path).stem,
        device=device_name(torch.device('cuda' if torch.cuda.is_available() else 'cpu')),
        threads=torch.get_num_threads(),
        rounds=args.rounds,
        steps=args.rounds * args.turns * args.steps,
        without_ms=round(without, 2),
        with_ms=round(with_, 2),
        slower_percent=round(percent, 2),
        error_percent=round(error, 2),
        sample_ms=round(sample, 2),
        seeding_ms=round(seeding, 3),
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
            f'{row["slower_percent"]:+.1f} +- {row["error_percent"]:.1f} %; seeding is '
            f'{row["seeding_percent"]:.1f} % of loading'
        )
        if args.csv:
            append_row(args.csv, row)


if __name__ == '__main__':
    sys.exit(main())
