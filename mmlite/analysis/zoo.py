"""What lightweight models cost on this machine, beside the accuracy that the paper gives them."""

import csv
import io
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import timm
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, ScalarFormatter
from mmengine.registry import DefaultScope
from timm.utils.model import reparameterize_model

from mmlite.errors import DataError
from mmlite.registry import MODELS
from mmlite.utils import figure_png

from .benchmark import device_name, synchronize
from .benchmark_config import rounded
from .complexity import count_macs, count_params
from .zoo_table import OURS

COLOURS = {'mmlite': '#d55e00', 'timm': '#0072b2'}


def build_model(name):
    """A classifier with random weights, in the form in which it is deployed.

    Args:
        name (str): Key of :data:`~.zoo_table.OURS`, else a model of timm, which is
            re-parameterised: branches and batch norms that its authors fuse are fused.

    Returns:
        nn.Module: In evaluation mode, without gradients: images (B, 3, H, W) to logits (B, 1000).
    """
    if name in OURS:
        ours = OURS[name]
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            model = MODELS.build(
                dict(
                    type='ImageClassifier',
                    backbone=dict(ours['backbone'], out_type='avg_featmap'),
                    head=dict(type='LinearClsHead', num_classes=1000, in_channels=ours['channels']),
                )
            )
    else:
        model = reparameterize_model(timm.create_model(name), inplace=True)
    return model.eval().requires_grad_(False)


@dataclass
class Contestant:
    """A model that is measured.

    Attributes:
        model (nn.Module): From :func:`build_model`, where it runs.
        size (int): Side of its input in pixels.
        parameters (int): Their number.
        macs (int): Multiply-adds for one image.
        latencies (dict[int, list[float]]): Batch size -> milliseconds of single passes.
    """

    model: torch.nn.Module
    size: int
    parameters: int
    macs: int
    latencies: dict = field(default_factory=dict)

    @classmethod
    def of(cls, name, size, device, dtype=torch.float32):
        """Build a model, count it and put it on a device."""
        model = build_model(name)
        macs, _ = count_macs(model, torch.zeros(1, 3, size, size))
        return cls(model.to(device, dtype), size, count_params(model), macs)

    @torch.inference_mode()
    def take_turn(self, batch_size, seconds, warmup, device):
        """Measure passes for ``seconds``, at least three; returns their milliseconds."""
        dtype = next(self.model.parameters()).dtype
        images = torch.randn(batch_size, 3, self.size, self.size, device=device, dtype=dtype)
        times = pass_times(lambda: self.model(images), seconds, warmup, device)
        self.latencies.setdefault(batch_size, []).extend(times)
        return times


def pass_times(step, seconds, warmup, device, least=3):
    """Milliseconds of single calls; the device is waited for behind each.

    Args:
        step (Callable): Called without arguments.
        seconds (float): Calls are started until they took as long together.
        warmup (int): Calls before them.
        device (torch.device): Whose work is waited for.
        least (int): Calls that are measured in any case. Defaults to 3.

    Returns:
        list[float]: One value for each call.
    """
    for _ in range(warmup):
        step()
    synchronize(device)
    times = []
    while len(times) < least or sum(times) < 1000 * seconds:
        start = time.perf_counter()
        step()
        synchronize(device)
        times.append(1000 * (time.perf_counter() - start))
    return times


def measure(contestants, batch_sizes, turns, seconds, warmup, device, report):
    """Let all models take turns, so that what else the machine does meets all of them alike.

    Args:
        contestants (dict[str, Contestant]): By name. Their ``latencies`` grow.
        batch_sizes (Sequence[int]): Images a pass.
        turns (int): How often each model is measured with each batch.
        seconds (float): Of passes a turn.
        warmup (int): Passes before them.
        device (torch.device): Where the models are.
        report (Callable): Called with a line about each measurement.
    """
    total = turns * len(contestants) * len(batch_sizes)
    done = 0
    for turn in range(turns):
        for name, contestant in contestants.items():
            for batch_size in batch_sizes:
                times = contestant.take_turn(batch_size, seconds, warmup, device)
                done += 1
                report(
                    f'[{done}/{total}] turn {turn + 1} of {turns}, {name}, batch {batch_size}: '
                    f'{np.median(times):.4g} ms'
                )


def zoo_rows(rows, contestants, batch_sizes, device, dtype=torch.float32):
    """The table as it goes into a CSV file.

    Args:
        rows (Sequence[Row]): Of the paper's table.
        contestants (dict[str, Contestant]): Measured models by the rows' ``model``. A row whose
            model is not there has no measurement.
        batch_sizes (Sequence[int]): Those that were measured.
        device (torch.device): Where.
        dtype (torch.dtype): Of weights and images. Defaults to float32.

    Returns:
        list[dict]: Column -> value, None where there is none.
    """
    return [_zoo_row(row, contestants.get(row.model), batch_sizes, device, dtype) for row in rows]


def _zoo_row(row, found, batch_sizes, device, dtype):
    cells = dict(
        model=row.name,
        built_as=row.model,
        pretraining=row.pretraining or None,
        distilled=row.distilled,
        epochs=row.epochs,
        paper_top1=row.top1,
        paper_parameters_m=row.params_m,
        input=row.size,
        parameters=found and found.parameters,
        gmac=found and rounded(found.macs / 1e9),
    )
    for batch_size in batch_sizes:
        times = found.latencies[batch_size] if found else None
        cells |= {
            f'batch{batch_size}_median_ms': times and rounded(np.median(times)),
            f'batch{batch_size}_p95_ms': times and rounded(np.percentile(times, 95)),
            f'batch{batch_size}_passes': times and len(times),
        }
    return cells | dict(
        device=device_name(device),
        precision=str(dtype).removeprefix('torch.'),
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        timm=timm.__version__,
    )


def write_table(path, rows):
    """Write rows of equal columns as a CSV file, in place of one that is there.

    Args:
        path (str | Path): The file; its folder is made.
        rows (Sequence[dict]): Column -> value; None is an empty cell.

    Raises:
        DataError: If the file cannot be written.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator='\n')
    writer.writeheader()
    writer.writerows(rows)
    write_whole(path, text.getvalue().encode())


def write_whole(path, content):
    """Write bytes into a file; its folder is made.

    Raises:
        DataError: If the file cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise DataError(f'cannot write {path}: {error.strerror}') from error


def draw_zoo(rows, batch_sizes):
    """Accuracy of the paper against multiply-adds and against latency on this device.

    Models that differ in their training only are points on one vertical line.

    Args:
        rows (Sequence[dict]): From :func:`zoo_rows`; those without accuracy or measurement are
            left out.
        batch_sizes (Sequence[int]): A panel for each, behind that of multiply-adds.

    Returns:
        bytes: A PNG file.
    """
    rows = [row for row in rows if row['paper_top1'] and row['parameters']]
    numbers = {name: i for i, name in enumerate(dict.fromkeys(r['built_as'] for r in rows), 1)}
    panels = {'gmac': '10⁹ multiply-adds an image'}
    panels |= {f'batch{n}_median_ms': f'ms, batch of {n}' for n in batch_sizes}
    figure = Figure(figsize=(4.6 * len(panels) + 2.2, 4.8), layout='constrained')
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axis, (column, title) in zip(axes, panels.items(), strict=True):
        _draw_panel(axis, rows, column, numbers)
        axis.set_xlabel(title)
    axes[0].set_ylabel('ImageNet-1K top-1 in the paper, %')
    names = {row['built_as']: row['model'] for row in rows}
    legend = '\n'.join(f'{number:>2}  {names[key]}' for key, number in numbers.items())
    figure.suptitle(f'{rows[0]["device"]}, {rows[0]["precision"]}' if rows else '', fontsize=10)
    axes[-1].text(
        1.03, 1, legend, transform=axes[-1].transAxes, va='top', fontsize=8, family='monospace'
    )
    return figure_png(figure, dpi=130)


def _draw_panel(axis, rows, column, numbers):
    """Points of one panel, each model's joined by a line, the best with its number."""
    for name, number in numbers.items():
        own = sorted((r for r in rows if r['built_as'] == name), key=lambda r: r['paper_top1'])
        x, y = [r[column] for r in own], [r['paper_top1'] for r in own]
        ours = name in OURS
        axis.plot(
            x, y, marker='*' if ours else 'o', markersize=10 if ours else 5, linewidth=0.8,
            color=COLOURS['mmlite' if ours else 'timm'],
        )  # fmt: skip
        axis.annotate(
            str(number), (x[-1], y[-1]), textcoords='offset points', xytext=(5, 4), fontsize=8
        )
    axis.set_xscale('log')
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(ScalarFormatter())
    axis.xaxis.set_minor_formatter('')
    axis.grid(alpha=0.3)
