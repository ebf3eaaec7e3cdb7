"""Table and page of a scorecard."""

from pathlib import Path

from mmlite.analysis.report import prediction_figures
from mmlite.analysis.report.page import render_page
from mmlite.analysis.report.predictions import load_predictions
from mmlite.analysis.report.training import series
from mmlite.engine.logs import find_logs, split_records
from mmlite.utils import render_table
from mmlite.visualization import draw_curves

# initializations of every scorecard: random weights, and the classifier trained from them
BASELINES = SCRATCH, SUPERVISED = 'scratch', 'supervised'
TEMPLATE = Path(__file__).with_name('templates') / 'scorecard.html'
IMAGES = 3  # validation images of each initialization and task


def paper_numbers(tasks, name):
    """Numbers that the tasks of a preset quote for an initialization, by task; often none."""
    return {task.name: task.paper[name] for task in tasks if name in task.paper}


def score_table(tasks, rows, names=()):
    """Render :meth:`.Scorecard.rows` as Markdown, with cells like ``57.1 ± 0.4 (+3.2, -0.1)``.

    Below an initialization is the paper's row, if there is one. ``names`` have a row in any case.
    """
    names = dict.fromkeys([*names, *(row['init'] for row in rows)])
    lines = {name: [name, *['-'] * len(tasks)] for name in names}
    for row in rows:
        text = f'{row["mean"]:.1f}' + (f' ± {row["std"]:.1f}' if row['std'] is not None else '')
        gains = [row[f'minus_{baseline}'] for baseline in BASELINES]
        known = ', '.join(f'{gain:+.1f}' for gain in gains if gain is not None)
        column = [task.name for task in tasks].index(row['task']) + 1
        lines[row['init']][column] = f'{text} ({known})' if known else text
    table = []
    for name, line in lines.items():
        table.append(line)
        if paper := paper_numbers(tasks, name):
            table.append([f'{name}, paper', *(paper.get(task.name, '-') for task in tasks)])
    header = ['init', *(f'{task.title}: {task.label}' for task in tasks)]
    return render_table(header, table, 'markdown')


def scorecard_page(card, rows):
    """Render the page of a :class:`~.scorecard.Scorecard` as HTML; ``rows`` are its rows."""
    tasks = card.preset.tasks
    names = list(dict.fromkeys(row['init'] for row in rows))
    predictions = {}
    for task in card.trained:
        for row in (row for row in rows if row['task'] == task.name):
            file = card.folder(row) / 'predictions.pkl'
            if file.is_file():
                results = load_predictions(file)
                figures = prediction_figures(card.configs[task.name], results, IMAGES)
                predictions[f'{task.title}, {row["init"]}'] = figures
    return render_page(
        TEMPLATE,
        heading='Scorecard',
        title=f'{", ".join(init.name for init in card.inits)}: {card.preset.title}',
        card=card,
        baselines=BASELINES,
        names=names,
        paper={name: paper_numbers(tasks, name) for name in names},
        cells={(row['init'], row['task']): row for row in rows},
        best={t.name: max((r['mean'] for r in rows if r['task'] == t.name), default=0)
              for t in tasks},
        curves={task.title: png for task in tasks if (png := _curves(card, task, rows))},
        figures=[(title, text, file.read_bytes()) for title, text, file in card.figures],
        predictions=predictions,
        configs={str(t.config): card.configs[t.name].pretty_text for t in card.trained},
    )  # fmt: skip


def _curves(card, task, rows):
    """The metric of a task over its training, first seed, as PNG; None without two points."""
    lines = {}
    for row in (row for row in rows if row['task'] == task.name):
        _, validation = split_records(find_logs(card.folder(row)))
        lines[row['init']] = series(validation, task.metric, task.factor)
    if not any(len(steps) > 1 for steps, _ in lines.values()):
        return None
    return draw_curves({f'{task.title}: {task.label}': lines}, 'iteration or epoch')
