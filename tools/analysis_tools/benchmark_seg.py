"""Speed of segmentation configs side by side: training steps and inference.

    python tools/analysis_tools/benchmark_seg.py CONFIG CONFIG --device cuda --amp bf16 --csv FILE

All models get the same random images and labels, on the device already. They take turns, and the
median of the turns counts, so that what else the machine does meets all of them alike.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmengine.runner import set_random_seed
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.analysis.benchmark import append_row, device_name, peak_memory, timed
from mmlite.analysis.benchmark_config import (
    DTYPES,
    add_benchmark_options,
    build_trained,
    check_benchmark_options,
    precision,
    rounded,
    set_precision,
)
from mmlite.analysis.complexity import count_params
from mmlite.engine.check_config import check_config
from mmlite.engine.cli import CfgOptions, tool
from mmlite.engine.launch import read_config
from mmlite.errors import UserError

SEED = 0


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('configs', nargs='+', metavar='CONFIG', help='configs of segmentation models')
    add(
        '--cfg-options', nargs='+', action=CfgOptions, metavar='KEY=VALUE',
        help='override settings of every config',
    )  # fmt: skip
    add_benchmark_options(parser, steps=10, warmup=1)
    add('--turns', type=int, default=5, help='how often every model is measured; default: 5')
    add('--csv', type=Path, metavar='FILE', help='append a row for each config to this table')
    return parser.parse_args(argv)


def prepare(path, args):
    """A config as the options want it, checked without its data."""
    cfg = read_config(path, cfg_options=args.cfg_options)
    if cfg.get('default_scope') != 'mmseg' or not cfg.get('optim_wrapper'):
        raise UserError(f'config {path} should be of a segmentation model and train it')
    set_precision(cfg, args.amp, args.device)
    check_config(cfg, data=False)
    return cfg


class Contestant:
    """A model that is measured.

    Args:
        path (str): Its config.
        args (argparse.Namespace): Options.
        device (torch.device): Where it runs.
    """

    def __init__(self, path, args, device):
        self.name = Path(path).stem
        self.cfg = prepare(path, args)
        self.args, self.device = args, device
        self.images = args.batch_size or self.cfg.train_dataloader.batch_size
        self.model, self.optim_wrapper = build_trained(self.cfg, device)
        self.size = self.model.data_preprocessor.size
        classes = self.model.decode_head.num_classes
        batch = random_batch(self.images, self.size, classes)
        self.batch = self.model.data_preprocessor.cast_data(batch)
        self.rates = {'train': [], 'inference': []}
        self.memory = None

    def take_turn(self):
        """Measure training and inference in images/s."""
        on_gpu = self.device.type == 'cuda'
        if on_gpu:
            torch.cuda.reset_peak_memory_stats(self.device)
        self.model.train()
        self._measure('train', lambda: self.model.train_step(self.batch, self.optim_wrapper))
        if on_gpu:  # the memory of a process that holds all models says nothing about one
            self.memory = peak_memory(self.device)
        self.model.eval()
        inputs = self.model.data_preprocessor(self.batch, False)['inputs']
        name = DTYPES.get(precision(self.cfg))
        dtype = getattr(torch, name) if name else None
        with torch.no_grad(), torch.autocast(self.device.type, dtype, enabled=name is not None):
            self._measure('inference', lambda: self.model(inputs, mode='tensor'))

    def _measure(self, what, step):
        seconds = timed(step, self.args.steps, self.args.warmup, self.device)
        self.rates[what].append(self.args.steps * self.images / seconds)

    def row(self):
        """A row of the CSV table."""
        return dict(
            config=self.name,
            device=device_name(self.device),
            torch=torch.__version__,
            threads=torch.get_num_threads(),
            precision=precision(self.cfg),
            batch_size=self.images,
            input='x'.join(map(str, self.size)),
            turns=self.args.turns,
            steps=self.args.steps,
            parameters=count_params(self.model),
            train_images_per_s=rounded(np.median(self.rates['train'])),
            inference_images_per_s=rounded(np.median(self.rates['inference'])),
            train_memory_gib=None if self.memory is None else rounded(self.memory / 2**30),
        )


def random_batch(count, size, classes):
    """Images of noise with a random class in every pixel, as a loader collates them."""
    generator = torch.Generator().manual_seed(SEED)
    images = torch.randint(256, (count, 3, *size), generator=generator, dtype=torch.uint8)
    labels = torch.randint(classes, (count, 1, *size), generator=generator)
    samples = [SegDataSample(metainfo=dict(img_shape=size, ori_shape=size)) for _ in range(count)]
    for sample, label in zip(samples, labels, strict=True):
        sample.gt_sem_seg = PixelData(data=label)
    return dict(inputs=list(images), data_samples=samples)


def show(rows):
    """Print the rates, and how they compare with those of the first config."""
    width = max(len(row['config']) for row in rows)
    print(f'{"config":<{width}}{"train":>10}{"":8}{"inference":>10}   (images/s)')
    for row in rows:
        cells = ''
        for key in ('train_images_per_s', 'inference_images_per_s'):
            cells += f'{row[key]:>10.4g}{f"x{row[key] / rows[0][key]:.2f}":>8}'
        print(f'{row["config"]:<{width}}{cells}')


@tool
def main(argv=None):
    args = parse_args(argv)
    check_benchmark_options(args, ('steps', 'batch_size', 'turns'))
    init_default_scope('mmseg')
    set_random_seed(SEED)
    MMLogger.get_current_instance().setLevel('WARNING')  # no list of parameter groups a model
    device = torch.device(args.device)
    torch.backends.cudnn.benchmark = True  # every batch has the same size
    try:
        contestants = [Contestant(path, args, device) for path in args.configs]
        for turn in range(args.turns):
            print(f'turn {turn + 1} of {args.turns}', flush=True)
            for contestant in contestants:
                contestant.take_turn()
    except torch.cuda.OutOfMemoryError as error:
        raise UserError(
            f'the batch does not fit into the memory of {device_name(device)}: give a smaller '
            f'--batch-size'
        ) from error
    rows = [contestant.row() for contestant in contestants]
    show(rows)
    for row in rows if args.csv else ():
        append_row(args.csv, row)
    if args.csv:
        print(f'appended to {args.csv}')


if __name__ == '__main__':
    sys.exit(main())
