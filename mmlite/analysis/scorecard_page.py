"""One self-contained HTML page about pre-trained weights: tasks, baselines, reasons."""

import html
import math

from mmlite.engine.logs import find_logs, split_records
from mmlite.engine.scorecard import SCRATCH, SUPERVISED, grid_of, relative, task_config
from mmlite.utils import data_uri
from mmlite.visualization import draw_curves

from .report.page import render_page, whole_page
from .report.predictions import load_predictions
from .report.training import prediction_figures
from .scorecard_results import difference, starts_of

STYLE = """<style>
.up{color:#047857}.down{color:#b91c1c}.small{font-size:.8rem;color:#5b6675;white-space:nowrap}
.card{overflow-x:auto}.card td,.card th{vertical-align:top}.best{font-weight:700}
.words td,.words th{text-align:left;min-width:8rem}.card img{min-width:44rem}
details{margin:.4rem 0}summary{cursor:pointer}
</style>"""
PICTURES = 3
"""Validation pictures of each start and task."""


def scorecard_page(plan, scores, steps, problems, figures=()):
    """The page.

    Args:
        plan (Plan): What was judged, see :mod:`mmlite.engine.scorecard`.
        scores (dict): From :func:`~.scorecard_results.collect`.
        steps (Sequence[Step]): What was run, in order.
        problems (Sequence[str]): A sentence for each thing that is missing or failed.
        figures (Sequence[tuple[str, str, Path]]): Title, explanation and PNG file of each figure
            that explains the numbers.

    Returns:
        str: HTML.
    """
    names = ', '.join(start.name for start in plan.starts)
    sections = [
        STYLE,
        _problems(problems),
        _table(plan, scores),
        _curves(plan, scores),
        *(_figure(*figure) for figure in figures),
        _pictures(plan, scores),
        _weights(plan),
        _commands(steps),
        _configs(plan),
    ]
    return whole_page('Scorecard', f'{names}: {plan.preset.title}', filter(None, sections))


def _problems(problems):
    if not problems:
        return ''
    items = ''.join(f'<li>{html.escape(problem)}' for problem in problems)
    return f'<h2>Not complete</h2><ul>{items}</ul>'


def _table(plan, scores):
    """Starts by tasks, with differences to the baselines."""
    tasks = plan.preset.tasks
    head = ''.join(
        f'<th>{html.escape(task.title)}<br><span class="small">{html.escape(task.label)}</span>'
        for task in tasks
    )
    rows = ''
    for start in starts_of(scores):
        cells = ''.join(_cell(scores[task.name], start) for task in tasks)
        rows += f'<tr><td>{html.escape(start)}{cells}'
    count = len(plan.preset.seeds)
    seeds = f'{count} trainings' if count > 1 else 'one training'
    return (
        f'<h2>Results</h2><p class="sub">Fine-tuned by one recipe a task, all else equal; {seeds} '
        f'each, seed{"s" if count > 1 else ""} {", ".join(map(str, plan.preset.seeds))}. Below '
        f'each number: the difference to {SCRATCH} (random weights) / to '
        f'{SUPERVISED} (a classifier that was trained from random weights).{_grids(tasks)}</p>'
        f'<div class="card"><table><tr><th>start{head}{rows}</table></div>'
    )


def _grids(tasks):
    """Which tasks were trained by several settings."""
    names = [task.title for task in tasks if len(grid_of(task.config)) > 1]
    if not names:
        return ''
    named = html.escape(' and '.join(names))
    return f' {named}: the best setting of the recipe’s grid for each start.'


def _cell(scores, start):
    if start not in scores:
        return '<td>-'
    score = scores[start]
    best = max(scores.values(), key=lambda s: s.mean) is score
    spread = '' if math.isnan(score.deviation) else f' ± {score.deviation:.1f}'
    gains = [difference(scores, start, baseline) for baseline in (SCRATCH, SUPERVISED)]
    marks = ' / '.join(map(_mark, gains)) if any(gain is not None for gain in gains) else ''
    return (
        f'<td><span class="{"best" if best else ""}">{score.mean:.1f}</span>'
        f'<span class="small">{spread}</span><br><span class="small">{marks}</span>'
    )


def _mark(gain):
    """A difference, coloured unless it is rounded to nothing."""
    if gain is None:
        return '–'
    text = f'{gain:+.1f}'
    kind = 'up' if float(text) > 0 else 'down' if float(text) < 0 else ''
    return f'<span class="{kind}">{text}</span>'


def _curves(plan, scores):
    """The metric of each task over its training, first seed, a line a start."""
    pictures = ''
    for task in plan.preset.tasks:
        lines = {}
        for start in scores[task.name]:
            _, validation = split_records(find_logs(plan.cell(task, start)))
            found = [r for r in validation if task.metric in r]
            lines[start] = (
                [r['step'] for r in found],
                [task.factor * r[task.metric] for r in found],
            )
        if any(len(x) > 1 for x, _ in lines.values()):
            picture = draw_curves({f'{task.title}: {task.label}': lines}, 'iteration or epoch')
            uri = data_uri(picture, 'png')
            pictures += f'<img src="{uri}" alt="{html.escape(task.title)} over the training">'
    if not pictures:
        return ''
    return (
        f'<h2>On the way</h2><p class="sub">Validation during training, seed '
        f'{plan.preset.seeds[0]}.</p><div class="curves">{pictures}</div>'
    )


def _figure(title, text, file):
    return (
        f'<h2>{html.escape(title)}</h2><p class="sub">{html.escape(text)}</p>'
        f'<div class="card"><img src="{data_uri(file.read_bytes(), "png")}" '
        f'alt="{html.escape(title)}"></div>'
    )


def _pictures(plan, scores):
    """Predictions on validation pictures for each start of the tasks that have them."""
    found = ''
    for task in plan.preset.tasks:
        for start in scores[task.name] if task.pictures else ():
            file = plan.predictions(task, start)
            if not file.is_file():
                continue
            cfg = task_config(task, plan.cell(task, start))
            figures = prediction_figures(cfg, load_predictions(file), PICTURES)
            drawn = render_page('gallery.html', figures=figures)
            title = html.escape(f'{task.title}, {start}')
            found += f'<details><summary>{title}</summary>{drawn}</details>'
    return f'<h2>Predictions</h2>{found}' if found else ''


def _weights(plan):
    """What was judged: file, its hash, and the architecture that it records."""
    rows = ''.join(
        f'<tr><td>{html.escape(start.name)}<td>{html.escape(str(start.path))}<td>{start.digest}'
        f'<td>{html.escape(", ".join(f"{k}={v}" for k, v in start.backbone.items()))}'
        for start in plan.starts
    )
    return (
        '<h2>Weights</h2><div class="card words"><table><tr><th>name<th>file<th>SHA-256 begins'
        f'<th>backbone{rows}</table></div>'
    )


def _commands(steps):
    if not steps:
        return ''
    lines = '\n'.join(f'# {step.title}\n{step.text()}' for step in steps)
    return (
        '<h2>Commands</h2><details><summary>all that was run</summary>'
        f'<pre>{html.escape(lines)}</pre></details>'
    )


def _configs(plan):
    """Every recipe with its options, resolved."""
    found = ''
    for task in plan.preset.tasks:
        name = html.escape(str(relative(task.config)))
        text = html.escape(task_config(task, plan.sweep_folder(task)).pretty_text)
        found += f'<details><summary>{name}</summary><pre>{text}</pre></details>'
    return f'<h2>Configs</h2>{found}'
