"""The numbers of a scorecard, and the table that compares them."""

import csv
import io
import math
import statistics
from dataclasses import dataclass

from mmlite.engine.scorecard import SCRATCH, SUPERVISED, reached


@dataclass(frozen=True)
class Score:
    """What one start reached in one task.

    Attributes:
        values (dict[int, float]): By seed, in the unit of the task's label.
    """

    values: dict

    @property
    def mean(self):
        """Over the seeds; NaN without any."""
        return statistics.fmean(self.values.values()) if self.values else math.nan

    @property
    def deviation(self):
        """Standard deviation over the seeds (n - 1); NaN for fewer than two."""
        values = list(self.values.values())
        return statistics.stdev(values) if len(values) > 1 else math.nan


def collect(plan):
    """The results that are there.

    Args:
        plan (Plan): See :class:`mmlite.engine.scorecard.Plan`.

    Returns:
        dict[str, dict[str, Score]]: Name of the task -> start -> score. A start without a finished
        training has no entry.
    """
    return {task.name: _scores(plan, task) for task in plan.preset.tasks}


def _scores(plan, task):
    scores = {}
    for start in plan.inits(task):
        found = {seed: reached(task, plan.cell(task, start, seed)) for seed in plan.preset.seeds}
        values = {seed: value for seed, value in found.items() if value is not None}
        if values:
            scores[start] = Score(values)
    return scores


def starts_of(scores):
    """Every start that has a score, baselines first."""
    found = dict.fromkeys(start for by_start in scores.values() for start in by_start)
    return sorted(found, key=lambda s: {SCRATCH: 0, SUPERVISED: 1}.get(s, 2))


def difference(scores, start, baseline):
    """Mean of a start less that of a baseline; None where one is missing, or both are the same."""
    if start == baseline or start not in scores or baseline not in scores:
        return None
    return scores[start].mean - scores[baseline].mean


def table_rows(plan, scores):
    """The scorecard as rows of a CSV file.

    Args:
        plan (Plan): What was judged.
        scores (dict): From :func:`collect`.

    Returns:
        list[dict]: One row for each task and start.
    """
    rows = []
    for task in plan.preset.tasks:
        own = scores[task.name]
        for start in starts_of(scores):
            if start not in own:
                continue
            score = own[start]
            row = dict(task=task.name, metric=task.label, start=start, n=len(score.values))
            row |= dict(mean=score.mean, std=_blank(score.deviation))
            for baseline in (SCRATCH, SUPERVISED):
                gain = difference(own, start, baseline)
                row[f'minus_{baseline}'] = '' if gain is None else gain
            rows.append(row)
    return rows


def _blank(value):
    return '' if math.isnan(value) else value


def to_csv(rows):
    """Rows of equal keys as the text of a CSV file; numbers with four digits behind the point."""
    out = io.StringIO()
    if rows:
        writer = csv.DictWriter(out, list(rows[0]), lineterminator='\n')
        writer.writeheader()
        for row in rows:
            writer.writerow({k: f'{v:.4f}' if isinstance(v, float) else v for k, v in row.items()})
    return out.getvalue()


def to_markdown(plan, scores):
    """The table for people, one row for each start, as GitHub draws it."""
    header = ['start', *(f'{task.title}: {task.label}' for task in plan.preset.tasks)]
    lines = [header, ['---'] * len(header)]
    for start in starts_of(scores):
        cells = [cell_text(scores[task.name], start) for task in plan.preset.tasks]
        lines.append([start, *cells])
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines) + '\n'


def cell_text(scores, start):
    """Mean, deviation, and the differences to the baselines: ``'57.1 ± 0.4 (+3.2, -0.1)'``."""
    if start not in scores:
        return '-'
    score = scores[start]
    text = f'{score.mean:.1f}'
    if not math.isnan(score.deviation):
        text += f' ± {score.deviation:.1f}'
    gains = [difference(scores, start, baseline) for baseline in (SCRATCH, SUPERVISED)]
    known = [f'{gain:+.1f}' for gain in gains if gain is not None]
    return f'{text} ({", ".join(known)})' if known else text
