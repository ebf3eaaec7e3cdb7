"""One self-contained HTML page about a training run of a detector or a segmentation model."""

import html
from pathlib import Path

import cv2
import numpy as np
from mmengine.config import Config

from mmlite.engine.logs import find_logs, split_records
from mmlite.errors import DataError
from mmlite.utils import data_uri
from mmlite.visualization import draw_curves

from . import detection, segmentation
from .page import whole_page
from .predictions import load_predictions

TASKS = {'mmdet': detection, 'mmseg': segmentation}
"""Scope of a config -> the module with what is particular to its task."""


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
    if not work_dir.is_dir():
        raise DataError(f'{work_dir} is no folder: give the work directory of a training')
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
    page.write_text(
        whole_page('Training report', Path(cfg.filename).stem, sections), encoding='utf-8'
    )
    return page


def _newest(paths, message):
    """The newest of ``paths``."""
    paths = sorted(paths, key=lambda path: path.stat().st_mtime)
    if not paths:
        raise DataError(message)
    return paths[-1]


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
    if cv2.imread(str(path)) is None:
        raise DataError(
            f'{path} is no picture: tools/analysis_tools/vis_reconstruction.py draws it'
        )
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
