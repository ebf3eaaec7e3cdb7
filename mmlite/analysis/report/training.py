"""Report of the training of a detector or a segmentation model."""

from pathlib import Path

import numpy as np
from mmengine.config import Config

from mmlite.engine.logs import find_logs, split_records
from mmlite.errors import DataError
from mmlite.utils import write_text
from mmlite.visualization import draw_curves

from . import detection, segmentation
from .page import last_checkpoint, render_page
from .predictions import load_image, load_predictions

TASKS = {'mmdet': detection, 'mmseg': segmentation}
"""Default scope of a config -> module with what is particular to its task: METRICS (scalar of the
log -> name), PERCENT (their factor to percent), LOSSES (scalars for a plot of their own) and NOTE
(below the images)."""


def write_report(
    work_dir, predictions=None, count=12, min_score=0.3, reconstructions=None, title=None
):
    """Write ``index.html``, a page that needs no other file, into a work directory.

    Args:
        work_dir (str | Path): Holds the dumped config and the logs of one or more runs.
        predictions (str | Path, optional): Output of ``tools/test.py --out``. Without it, the page
            has no images and, for segmentation, no numbers by class.
        count (int): Number of validation images, evenly spaced. Defaults to 12.
        min_score (float): Detections below are not drawn. Defaults to 0.3.
        reconstructions (str | Path, optional): Output of ``vis_reconstruction.py``.
        title (str, optional): Heading. Defaults to ``'Training report'``.

    Raises:
        DataError: The config, the logs or a given file is missing or of another task.
    """
    work_dir = Path(work_dir)
    if not work_dir.is_dir():
        raise DataError(f'{work_dir} is not a directory: give the work directory of a training')
    configs = sorted(work_dir.glob('*.py'), key=lambda path: path.stat().st_mtime)
    if not configs:
        raise DataError(f'{work_dir}: no config file (*.py)')
    cfg = Config.fromfile(configs[-1])
    task = _task(cfg)
    training, validation = split_records(find_logs(work_dir))
    if not training:
        raise DataError(f'{work_dir}: its logs hold no training step; train longer first')
    results = None if predictions is None else load_predictions(predictions)
    context = dict(classes=None, confusion=None) | task.numbers(cfg, validation, results)
    figures = [] if results is None else task.figures(cfg, results, count, min_score)
    page = work_dir / 'index.html'
    html = render_page(
        'training.html',
        heading=title or 'Training report',
        title=Path(cfg.filename).stem,
        tiles=_tiles(task, training, validation),
        curves=_curves(task, training, validation),
        reconstructions=None if reconstructions is None else load_image(reconstructions),
        config=configs[-1],
        work_dir=work_dir,
        losses=task.LOSSES,
        checkpoint=last_checkpoint(work_dir),
        figures=figures,
        figures_note=task.NOTE.format(min_score=min_score),
        **context,
    )
    write_text(page, html)
    return page


def prediction_figures(cfg, results, count, min_score=0.3):
    """Draw ``count`` validation images, evenly spaced, for the macro ``gallery`` of a template.

    ``results`` are those of :func:`~.predictions.load_predictions`; detections below ``min_score``
    are not drawn. Returns dicts of ``images``, title -> ``data:`` URI, ``caption``, and ``legend``,
    names with RGB.
    """
    return _task(cfg).figures(cfg, results, count, min_score)


def _task(cfg):
    if cfg.get('default_scope') not in TASKS:
        raise DataError(
            f'{cfg.filename}: a report can be written of {" and ".join(TASKS)}, not of '
            f'default_scope={cfg.get("default_scope")!r}'
        )
    return TASKS[cfg.default_scope]


def _tiles(task, training, validation):
    """Name -> value of the numbers that people look for first."""
    last = validation[-1] if validation else {}
    metrics = {
        name: f'{task.PERCENT * last[key]:.1f}' for key, name in task.METRICS.items() if key in last
    }
    return {
        'iterations': f'{training[-1]["step"]:,}',
        **metrics,
        'final loss': f'{training[-1]["loss"]:.2f}',
        's / iteration': f'{np.median([r["time"] for r in training]):.2f}',
    }


def series(records, key, factor=1):
    """Steps and values, times ``factor``, of the records that have ``key``."""
    found = [record for record in records if key in record]
    return [record['step'] for record in found], [factor * record[key] for record in found]


def _curves(task, training, validation):
    """Title -> PNG of losses, metrics and learning rate."""
    losses = [key for key in training[-1] if 'loss' in key.split('.')[-1]]
    if len(losses) == 2:  # the sum and its only term
        losses = ['loss']
    panels = {'training loss': {key: series(training, key) for key in losses}}
    metrics = {name: series(validation, key, task.PERCENT) for key, name in task.METRICS.items()}
    if any(x for x, _ in metrics.values()):
        panels['validation, %'] = metrics
    panels['learning rate'] = {'lr': series(training, 'lr')}
    return {title: draw_curves({title: panel}) for title, panel in panels.items()}
