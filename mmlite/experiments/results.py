"""Results of trials, and the table that compares them."""

import math
import statistics
from dataclasses import dataclass

from mmlite.engine.logs import BOOKKEEPING, find_logs, split_records
from mmlite.errors import UserError
from mmlite.utils import render_table, write_bytes, write_csv, write_text
from mmlite.utils.names import near_names, with_near
from mmlite.visualization import draw_curves

from .grid import SEED


def read_metrics(folder):
    """Last value of every metric of ``'training'`` and ``'validation'`` in a work directory."""
    result, phases = {}, ('training', 'validation')
    for phase, records in zip(phases, split_records(find_logs(folder)), strict=True):
        last = {key: value for record in records for key, value in record.items()}
        numbers = {key: value for key, value in last.items() if isinstance(value, (int, float))}
        result[phase] = {key: numbers[key] for key in numbers if key not in BOOKKEEPING}
    return result


def metric_of(result, metric):
    """A metric of a result, of one name that of the validation; None if it was not logged."""
    metrics = {**result['training'], **result['validation']}
    return math.nan if metrics.get(metric, 0) is None else metrics.get(metric)  # JSON has no NaN


def choose_metric(results, name=None, save_best=None):
    """Choose the metric that trials are compared by.

    It is ``--metric`` (``name``), ``save_best`` of the config's checkpoint hook, the first one of
    the validation that is not of a single class, or the training loss.
    """
    validation = list(dict.fromkeys(key for r in results for key in r['validation']))
    known = [*validation, *dict.fromkeys(key for r in results for key in r['training'])]
    if name is not None and name not in known:
        message = f'--metric {name} was not logged; there are {", ".join(known)}'
        raise UserError(with_near(message, near_names(name, known)))
    best = save_best[0] if isinstance(save_best, (list, tuple)) and save_best else save_best
    overall = [key for key in validation if not key.endswith('_precision')]
    return name or (best if best in known else [*overall, *validation, 'loss'][0])


def companions(metric, results, count=3):
    """Up to ``count`` metrics of the same phase; for ``coco/bbox_mAP``, ``coco/segm_mAP`` first."""
    phases = [phase for r in results for phase in (r['validation'], r['training'])]
    keys = dict.fromkeys(key for phase in phases if metric in phase for key in phase)
    others = [key for key in keys if key != metric and not key.endswith('_precision')]
    kind = metric.split('_')[-1]
    return sorted(others, key=lambda key: key.split('_')[-1] != kind)[:count]


@dataclass(frozen=True)
class Row:
    """A combination of settings: its labels, and results of finished trials by seed."""

    labels: tuple
    results: dict

    def values(self, metric):
        """``metric`` of every seed that has it."""
        found = [metric_of(result, metric) for result in self.results.values()]
        return [value for value in found if value is not None]

    def mean(self, metric):
        """Mean over the seeds; NaN without any or if one is NaN."""
        return statistics.fmean(self.values(metric) or [math.nan])

    def deviation(self, metric):
        """Standard deviation over the seeds (n - 1); NaN for fewer than two."""
        values = self.values(metric)
        known = len(values) > 1 and not math.isnan(self.mean(metric))
        return statistics.stdev(values) if known else math.nan


class Table:
    """Results (by name of the trial) over all ``trials``, compared by ``metric``."""

    def __init__(self, axes, trials, results, metric, lower=False):
        rows = {trial.labels: {} for trial in trials}
        for trial in trials:
            if trial.name in results:
                rows[trial.labels][trial.seed] = results[trial.name]
        self.rows = [Row(*item) for item in rows.items()]
        self.axes = [axis for axis in axes if axis != SEED]
        # empty where the config decides the seed
        self.seeds = list(dict.fromkeys(t.seed for t in trials if t.seed is not None))
        self.metric, self.lower = metric, lower
        self.others = companions(metric, list(results.values()))

    def best(self):
        """Indices of the rows with the best mean; several where they tie."""
        means = [row.mean(self.metric) for row in self.rows]
        known = [mean for mean in means if not math.isnan(mean)]
        top = (min if self.lower else max)(known, default=None)
        return [index for index, mean in enumerate(means) if mean == top]

    def markdown(self):
        """Render mean and standard deviation, every seed, and the best rows in bold."""
        header = [*self.axes, self.metric, *(['n'] if self.seeds else [])]
        header += [*(f'seed {seed}' for seed in self.seeds), *self.others]
        lines = []
        for index, row in enumerate(self.rows):
            line = [*row.labels, self._spread(row, self.metric)]
            line += [str(len(row.values(self.metric)))] if self.seeds else []
            line += [self._number(value, self.metric) for value in self._by_seed(row)]
            line += [self._spread(row, metric) for metric in self.others]
            lines.append([f'**{text}**' for text in line] if index in self.best() else line)
        spread = 'mean ± standard deviation (n - 1) over the seeds, ' if len(self.seeds) > 1 else ''
        order = 'lowest' if self.lower else 'highest'
        text = render_table(header, lines, 'markdown', left=len(self.axes))
        return f'{text}\n\nLast value of each training, {spread}bold: {order} {self.metric}.\n'

    def write(self, folder):
        """Write ``table.md``, ``grid.csv`` and, for every axis of numbers, ``curves_AXIS.png``."""
        write_text(folder / 'table.md', self.markdown())
        lines = []
        for index, row in enumerate(self.rows):
            numbers = dict(n=len(row.values(self.metric)))
            for seed, value in zip(self.seeds, self._by_seed(row), strict=True):
                numbers[f'{self.metric} seed {seed}'] = value
            for metric in (self.metric, *self.others):
                numbers[f'{metric} mean'] = row.mean(metric)
                numbers[f'{metric} std'] = row.deviation(metric)
            known = {name: None if math.isnan(v) else v for name, v in numbers.items()}
            labels = dict(zip(self.axes, row.labels, strict=True))
            lines.append({**labels, **known, 'best': int(index in self.best())})
        write_csv(folder / 'grid.csv', lines)
        for axis in self.axes:
            curves = self.curves(axis)
            if curves:
                write_bytes(folder / f'curves_{axis}.png', draw_curves({self.metric: curves}, axis))

    def curves(self, axis):
        """Means over an axis of numbers: label along the other axes -> x, ascending, and means.

        Empty where a label is not a number or no line has two points.
        """
        index, lines = self.axes.index(axis), {}
        try:
            rows = sorted(self.rows, key=lambda row: float(row.labels[index]))
        except ValueError:
            return {}
        for row in rows:
            others = [f'{a} {v}' for a, v in zip(self.axes, row.labels, strict=True) if a != axis]
            mean = row.mean(self.metric)
            if not math.isnan(mean):
                line = lines.setdefault(', '.join(others) or self.metric, ([], []))
                line[0].append(float(row.labels[index]))
                line[1].append(mean)
        return lines if any(len(x) > 1 for x, _ in lines.values()) else {}

    def _by_seed(self, row):
        """Values of all seeds, NaN where one is missing."""
        found = (row.results.get(seed) for seed in self.seeds)
        values = [result and metric_of(result, self.metric) for result in found]
        return [math.nan if value is None else value for value in values]

    def _spread(self, row, metric):
        text = self._number(row.mean(metric), metric)
        spread = row.deviation(metric)
        return text if math.isnan(spread) else f'{text} ± {self._number(spread, metric)}'

    def _number(self, value, metric):
        """Four decimals for fractions and losses, two for percentages."""
        large = any(abs(row.mean(metric)) >= 10 for row in self.rows)
        return '-' if math.isnan(value) else f'{value:.{2 if large else 4}f}'
