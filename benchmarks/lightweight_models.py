"""Parameters, MACs and latency of MAE-Lite's Table 7 (arXiv 2404.12210) on this device.

    python benchmarks/lightweight_models.py --csv FILE.csv --plot FILE.png

Models of timm, and ViT-Tiny, Hiera-Tiny and Swin-1G of this suite, with random weights, which the
speed does not depend on. They take turns; median and 95th percentile over all passes are reported
beside the paper's accuracy and latencies. Mobile-Former-294M, EdgeViT-XS and SeaFormer-L keep the
paper's numbers only: timm, mmpretrain and mmseg do not have them.

EfficientNet-B1 takes 240 pixels, MobileViT and FastViT 256 where they reach these accuracies.
DeiT-Tiny and PiT-Ti of 1000 epochs have a distillation token, hence timm's ``*_distilled`` models.
The paper counts 6.8M parameters of FastViT-T12; timm's has 7.5M, and no other of its size.
"""

import argparse
import csv
import platform
import sys
import time
from pathlib import Path

import numpy as np
import timm
import torch
from matplotlib.figure import Figure
from mmengine.registry import DefaultScope
from timm.utils.model import reparameterize_model

from mmlite.analysis.complexity import count_macs, count_params
from mmlite.engine.build import as_device
from mmlite.engine.cli import positive_float, positive_int, tool
from mmlite.registry import MODELS
from mmlite.utils import Progress, figure_png, render_table, write_bytes, write_csv

PAPER = Path(__file__).with_name('lightweight_models_paper.csv')
OURS = {
    'mmlite.ViT-Tiny': (dict(type='mmlite.ViT', arch='tiny'), 192),
    'mmlite.ViT-Tiny-RPE': (dict(type='mmlite.ViT', arch='tiny', rel_pos='bias'), 192),
    'mmlite.Hiera-Tiny': (dict(type='mmlite.Hiera', arch='tiny'), 368),
    'mmlite.Swin-1G': (dict(type='mmlite.Swin', arch='1g'), 384),
}
"""Name -> backbone and its width; mean pooling and a linear classifier are added."""


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('--models', nargs='+', metavar='NAME', help='names of the column built_as; default: all')
    add('--batch-sizes', nargs='+', type=positive_int, default=[1, 16], metavar='N')
    add('--turns', type=positive_int, default=5, help='turns of each model; default: 5')
    add('--seconds', type=positive_float, default=1.0, help='passes of a turn take; default: 1')
    add('--device', choices=['cpu', 'cuda'], default='cpu')
    add('--threads', type=positive_int, metavar='N', help="CPU threads; default: torch's choice")
    add('--csv', type=Path, metavar='FILE', help='write the table')
    add('--plot', type=Path, metavar='FILE', help='write a scatter plot, PNG')
    return parser.parse_args(argv)


def build_model(name):
    """A classifier as it is deployed: branches and batch norms that timm can fuse are fused."""
    if name not in OURS:
        model = reparameterize_model(timm.create_model(name), inplace=True)
        return model.eval().requires_grad_(False)
    backbone, channels = OURS[name]
    head = dict(type='LinearClsHead', num_classes=1000, in_channels=channels)
    backbone = dict(backbone, out_type='avg_featmap')
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(dict(type='ImageClassifier', backbone=backbone, head=head))
    return model.eval().requires_grad_(False)


@torch.inference_mode()
def pass_times(model, images, seconds, warmup=3):
    """Milliseconds of single passes, at least three; the device is waited for after each."""
    times = []
    while len(times) < warmup + 3 or sum(times[warmup:]) < 1000 * seconds:
        start = time.perf_counter()
        model(images)
        if images.is_cuda:
            torch.cuda.synchronize()
        times.append(1000 * (time.perf_counter() - start))
    return times[warmup:]


def measure(sizes, args):
    """Model -> measured columns."""
    models = {name: build_model(name) for name in sizes}
    images = {name: torch.zeros(1, 3, size, size) for name, size in sizes.items()}
    rows = {
        name: dict(
            parameters=count_params(model),
            gmac=float(f'{count_macs(model, images[name])[0] / 1e9:.4g}'),
        )
        for name, model in models.items()
    }
    times = {(name, n): [] for name in models for n in args.batch_sizes}
    with Progress('measure', args.turns * len(times), 'turns') as progress:
        for _ in range(args.turns):
            for (name, n), found in times.items():
                model = models[name].to(args.device)
                batch = images[name].expand(n, -1, -1, -1).contiguous().to(args.device)
                found += pass_times(model, batch, args.seconds)
                progress.advance(note=f'{name}, batch {n}')
    for (name, n), found in times.items():
        rows[name] |= {
            f'batch{n}_median_ms': float(f'{np.median(found):.4g}'),
            f'batch{n}_p95_ms': float(f'{np.percentile(found, 95):.4g}'),
            f'batch{n}_passes': len(found),
        }
    return rows


def draw(rows, batch_sizes):
    """The paper's accuracy against MACs and latency; lines join trainings of one model."""
    columns = {'gmac': 'GMAC an image'}
    columns |= {f'batch{n}_median_ms': f'ms, batch of {n}' for n in batch_sizes}
    figure = Figure(figsize=(4.6 * len(columns) + 2.2, 4.8), layout='constrained')
    axes = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    for axis, (column, title) in zip(axes, columns.items(), strict=True):
        for name in dict.fromkeys(row['built_as'] for row in rows):
            points = [r for r in rows if r['built_as'] == name]
            top1 = [float(r['top1']) for r in points]
            marker = '*' if name in OURS else 'o'
            label = points[0]['model']
            axis.plot([r[column] for r in points], top1, marker, ls='-', lw=0.8, label=label)
        axis.set(xscale='log', xlabel=title)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel('ImageNet-1K top-1 in the paper, %')
    figure.legend(*axes[0].get_legend_handles_labels(), loc='outside right upper', fontsize=8)
    return figure_png(figure, dpi=130)


@tool
def main(argv=None):
    args = parse_args(argv)
    as_device(args.device)
    if args.threads:
        torch.set_num_threads(args.threads)
    with PAPER.open(newline='') as file:
        rows = [r for r in csv.DictReader(file) if not args.models or r['built_as'] in args.models]
    measured = measure({r['built_as']: int(r['input']) for r in rows if r['built_as']}, args)
    columns = list(next(iter(measured.values())))
    device = (
        torch.cuda.get_device_name()
        if args.device == 'cuda'
        else platform.processor() or platform.machine()
    )
    stack = dict(device=device, threads=torch.get_num_threads(), torch=torch.__version__)
    rows = [r | measured.get(r['built_as'], dict.fromkeys(columns)) | stack for r in rows]
    print(render_table(rows[0], [r.values() for r in rows]))
    if args.csv:
        write_csv(args.csv, rows)
    if args.plot:
        write_bytes(args.plot, draw([r for r in rows if r['gmac'] and r['top1']], args.batch_sizes))


if __name__ == '__main__':
    sys.exit(main())
