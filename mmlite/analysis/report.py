"""One self-contained HTML page about a training run of a detector or a segmentation model."""

import html
import platform
from pathlib import Path

import mmengine
import numpy as np
import torch
from mmengine.config import Config

from mmlite import __version__
from mmlite.engine.logs import find_logs, split_records
from mmlite.errors import DataError

from . import report_det, report_seg
from .pictures import data_uri, draw_curves
from .predictions import load_predictions

TASKS = {'mmdet': report_det, 'mmseg': report_seg}
"""Scope of a config -> the module with what is particular to its task."""

STYLE = """
body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1080px;padding:0 1rem;
color:#1c2430;background:#fff}img{max-width:100%}h1{margin-bottom:.2rem}h2{margin-top:2.2rem}
.sub{color:#5b6675;overflow-wrap:anywhere}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.5rem,1fr));gap:1rem}
.tile{background:#f1f5f9;border-radius:10px;padding:.8rem 1.2rem}
.tile b{display:block;font-size:1.7rem}
table{border-collapse:collapse}td,th{padding:.25rem .9rem;text-align:right;
border-bottom:1px solid #e2e8f0}td:first-child,th:first-child{text-align:left}
.columns{display:flex;flex-wrap:wrap;gap:1rem 2.5rem}.columns>*{min-width:0;max-width:100%}
.bar{min-width:7rem;background:linear-gradient(#bfdbfe,#bfdbfe) no-repeat left/var(--p) 100%}
.scroll{overflow:auto;max-height:48rem}
.curves{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(320px,100%),1fr));gap:1rem}
.pairs{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(500px,100%),1fr));gap:1rem}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:4px}
.trio{display:grid;grid-template-columns:repeat(3,1fr);gap:4px;align-items:start}
.full{max-width:none}.pair img,.trio img,.curves img,.wide{width:100%}
.wide{min-width:560px;max-width:640px}
figure{margin:0}figcaption{font-size:.8rem;color:#5b6675;grid-column:1/-1}
.legend{display:flex;flex-wrap:wrap;gap:0 .8rem}
.legend i{display:inline-block;width:.8em;height:.8em;margin-right:.3em;border:1px solid #94a3b8}
pre{background:#0f172a;color:#e2e8f0;padding:1rem;border-radius:8px;white-space:pre-wrap;
overflow-wrap:anywhere}
@media(max-width:600px){body{margin:1rem auto}table{font-size:.85rem}td,th{padding:.2rem .4rem}
.bar{min-width:4rem}}
"""


def write_report(work_dir, predictions=None, count=12, min_score=0.3, reconstructions=None):
    """Write ``index.html`` into a work directory of ``tools/train.py``.

    Args:
        work_dir (str | Path): Holds the dumped config and the logs of one or more runs.
        predictions (str | Path, optional): What ``tools/test.py --out`` wrote. Without it the
            page has no pictures, and of segmentation no numbers by class.
        count (int): Validation pictures to show, spread evenly. Defaults to 12.
        min_score (float): Detections below are not drawn. Defaults to 0.3.
        reconstructions (str | Path, optional): PNG of ``vis_reconstruction.py``, what the
            pre-training of the backbone learned.

    Returns:
        Path: The page.

    Raises:
        DataError: If the config, the logs or a file that was named are missing or of another task.
    """
    work_dir = Path(work_dir)
    config = _newest(work_dir.glob('*.py'), f'{work_dir}: no config file (*.py)')
    cfg = Config.fromfile(config)
    if cfg.get('default_scope') not in TASKS:
        raise DataError(
            f'{config}: a report can be written of {" and ".join(TASKS)}, not of '
            f'default_scope={cfg.get("default_scope")!r}'
        )
    task = TASKS[cfg.default_scope]
    training, validation = split_records(find_logs(work_dir))
    if not training:
        raise DataError(f'{work_dir}: its logs hold no training step; train longer first')
    results = None if predictions is None else load_predictions(predictions)
    sections = [
        _tiles(task, training, validation),
        _curves(task, training, validation),
        *task.sections(cfg, validation, results, count, min_score),
    ]
    if reconstructions is not None:
        sections.append(_reconstructions(reconstructions))
    sections.append(_next_steps(task, config, work_dir))
    page = work_dir / 'index.html'
    page.write_text(_page(Path(cfg.filename).stem, sections), encoding='utf-8')
    return page


def _newest(paths, message):
    """The newest of ``paths``."""
    paths = sorted(paths, key=lambda path: path.stat().st_mtime)
    if not paths:
        raise DataError(message)
    return paths[-1]


def _page(title, sections):
    """The whole page around its sections."""
    title = html.escape(title)
    versions = (
        f'mmlite {__version__}, torch {torch.__version__}, mmengine {mmengine.__version__}, '
        f'Python {platform.python_version()}, torch threads: {torch.get_num_threads()}, '
        f'{torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"}'
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<style>{STYLE}</style><h1>Training report</h1><p class="sub">{title}<br>{versions}</p>'
        + ''.join(sections)
        + '</html>'
    )


def _tiles(task, training, validation):
    """The few numbers that people look for first."""
    last = validation[-1] if validation else {}
    tiles = [('iterations', f'{training[-1]["step"]:,}')]
    tiles += [
        (name, f'{task.PERCENT * last[key]:.1f}')
        for key, name in task.METRICS.items()
        if key in last
    ]
    tiles.append(('final loss', f'{training[-1]["loss"]:.2f}'))
    tiles.append(('s / iteration', f'{np.median([r["time"] for r in training]):.2f}'))
    cells = ''.join(f'<div class="tile"><b>{value}</b>{name}</div>' for name, value in tiles)
    return f'<div class="tiles">{cells}</div>'


def _curves(task, training, validation):
    """Losses, metrics and learning rate, a picture each."""

    def series(records, key, factor=1):
        found = [r for r in records if key in r]
        return [r['step'] for r in found], [factor * r[key] for r in found]

    losses = [key for key in training[-1] if 'loss' in key.split('.')[-1]]
    if len(losses) == 2:  # the whole and its only part
        losses = ['loss']
    panels = {'training loss': {key: series(training, key) for key in losses}}
    drawn = {
        name: series(validation, key, task.PERCENT)
        for key, name in task.METRICS.items()
        if name in task.CURVES
    }
    if any(x for x, _ in drawn.values()):
        panels['validation, %'] = drawn
    panels['learning rate'] = {'lr': series(training, 'lr')}
    pictures = ''.join(
        f'<img src="{data_uri(draw_curves({title: panel}), "png")}" alt="{title} by iteration">'
        for title, panel in panels.items()
    )
    return f'<h2>Curves</h2><div class="curves">{pictures}</div>'


def _reconstructions(path):
    """What the pre-trained backbone made of masked pictures."""
    path = Path(path)
    if not path.is_file():
        raise DataError(f'{path} not found: tools/analysis_tools/vis_reconstruction.py draws it')
    return (
        '<h2>Pre-training</h2><p class="sub">Pictures that the backbone saw in part before it '
        'learned this task, and what it made of the rest.</p>'
        f'<img src="{data_uri(path.read_bytes(), "png")}" alt="original, masked, reconstruction">'
    )


def _next_steps(task, config, work_dir):
    """Commands to go on with, on this very run."""
    commands = [
        '# what the augmentation does to the training pictures',
        f'python tools/analysis_tools/browse_dataset.py {config} --output-dir {work_dir}/browse',
        '# single losses of this run',
        f'python tools/analysis_tools/analyze_logs.py plot_curve {work_dir} '
        f'--keys {task.LOSSES} --out {work_dir}/losses.png',
    ]
    pointer = work_dir / 'last_checkpoint'
    if pointer.is_file():
        checkpoint = work_dir / Path(pointer.read_text().strip()).name
        commands += [
            '# all validation pictures with their predictions',
            f'python tools/test.py {config} {checkpoint} --show-dir {work_dir}/pictures',
        ]
    commands += [f'{comment}\n{command}' for comment, command in task.ELSEWHERE.items()]
    return f'<h2>Next</h2><pre>{html.escape(chr(10).join(commands))}</pre>'
