"""Results of the cells of a sweep: reading them from logs, and the table that compares them."""

import csv
import io
import math
import re
import statistics
from dataclasses import dataclass

from mmlite.errors import UserError
from mmlite.utils.names import near_names

from .logs import BOOKKEEPING, find_logs, read_records, split_records
from .sweep import SEED


def read_metrics(folder, earlier=()):
    """The metrics of a finished cell.

    Args:
        folder (Path): Work directory of the cell.
        earlier (Collection[str]): Folders of runs that do not count.

    Returns:
        dict[str, dict]: ``validation`` and ``training``: metric -> ``final``, ``min``, ``max``.
        Training values are mmengine's means over its logging window.

    Raises:
        UserError: There is no log, or the run lacks its last validation: it was interrupted there,
            and mmengine does not make up for it when it resumes.
    """
    logs = [log for log in find_logs(folder) if log.parent.parent.name not in earlier]
    if not logs:
        raise UserError(f'{folder} holds no log of this training')
    training, validation = split_records(logs)
    if validation and 'loss' in read_records(logs[-1])[-1]:
        raise UserError(
            f'{folder} was interrupted between its last checkpoint and the end of its last '
            'validation: delete the folder to train it anew'
        )
    return dict(validation=_summary(validation), training=_summary(training))


def _summary(records):
    values = {}
    for record in records:
        for key, value in record.items():
            if key not in BOOKKEEPING and isinstance(value, (int, float)):
                values.setdefault(key, []).append(value)
    return {
        key: dict(final=found[-1], min=_extreme(min, found), max=_extreme(max, found))
        for key, found in values.items()
    }


def _extreme(choose, values):
    """The least or greatest of ``values`` that is a number, else NaN."""
    return choose((value for value in values if not math.isnan(value)), default=math.nan)


@dataclass(frozen=True)
class Row:
    """A combination of settings and its results by seed."""

    labels: tuple[str, ...]
    results: dict

    def values(self, metric, which='final'):
        """``metric`` by seed, ``which`` being ``'final'``, ``'min'`` or ``'max'``."""
        found = {seed: metrics_of(result).get(metric) for seed, result in self.results.items()}
        return {seed: value[which] for seed, value in found.items() if value}

    def mean(self, metric, which='final'):
        """Mean over the seeds; NaN without any."""
        values = self.values(metric, which).values()
        return statistics.fmean(values) if values else math.nan

    def deviation(self, metric):
        """Standard deviation over the seeds (n - 1); NaN for fewer than two."""
        values = list(self.values(metric).values())
        return statistics.stdev(values) if len(values) > 1 else math.nan


def metrics_of(result):
    """All metrics of a result, a name of the validation before the same name in training."""
    return {**result['training'], **result['validation']}


def choose_metric(results, wanted=None, save_best=None):
    """The metric that cells are compared by.

    Args:
        results (Sequence[dict]): Of :func:`read_metrics`; at least one.
        wanted (str, optional): What the user asked for.
        save_best (str | list[str], optional): Of the config's checkpoint hook; counts where the
            user asked for nothing. Without it, the first metric of the validation that is not of
            a single class, else the training loss.

    Raises:
        UserError: No result has the metric; lists those that there are.
    """
    known = dict.fromkeys(key for r in results for key in (*r['validation'], *r['training']))
    if wanted is not None and wanted not in known:
        near = near_names(wanted, known)
        hint = f'near names: {", ".join(near)}; ' if near else ''
        raise UserError(f'--metric {wanted} was not logged; {hint}there are {", ".join(known)}')
    best = save_best[0] if isinstance(save_best, (list, tuple)) and save_best else save_best
    validation = dict.fromkeys(key for r in results for key in r['validation'])
    overall = [key for key in validation if not key.endswith('_precision')]
    return wanted or (best if best in known else None) or [*overall, *validation, 'loss'][0]


def companions(metric, results, count=3):
    """Up to ``count`` metrics to show beside ``metric``, of the same phase and kin first.

    For ``'coco/bbox_mAP'`` these are ``'coco/segm_mAP'``, then ``'coco/bbox_mAP_50'`` and others.
    """
    phases = [phase for r in results for phase in (r['validation'], r['training'])]
    keys = dict.fromkeys(key for phase in phases if metric in phase for key in phase)
    kin = re.split('[/_]', metric)[-1]
    rank = {
        key: 0 if re.split('[/_]', key)[-1] == kin else 1 if key.startswith(f'{metric}_') else 2
        for key in keys
        if key != metric
    }
    return sorted(rank, key=rank.get)[:count]


@dataclass(frozen=True)
class Table:
    """Results by combination of settings, to compare by one metric.

    Attributes:
        axes (tuple[str, ...]): Names of the axes but the seed.
        seeds (tuple[str | None, ...]): Seeds, in order.
        rows (tuple[Row, ...]): Combinations, in order; a row may lack seeds.
        metric (str): What decides.
        others (tuple[str, ...]): What is shown beside it.
        lower (bool): Whether the lowest value is the best.
    """

    axes: tuple[str, ...]
    seeds: tuple
    rows: tuple[Row, ...]
    metric: str
    others: tuple[str, ...]
    lower: bool

    @classmethod
    def of(cls, axes, cells, results, metric, lower):
        """The table of ``results`` (by name of the cell) over all ``cells`` of ``axes``."""
        rows = {}
        for cell in cells:
            found = {cell.seed: results[cell.name]} if cell.name in results else {}
            rows.setdefault(cell.combination, {}).update(found)
        return cls(
            tuple(axis.name for axis in axes if axis.name != SEED),
            tuple(dict.fromkeys(cell.seed for cell in cells)),
            tuple(Row(*item) for item in rows.items()),
            metric,
            tuple(companions(metric, list(results.values()))),
            lower,
        )

    def best(self):
        """Indices of the rows with the best mean; more than one where they tie."""
        means = [row.mean(self.metric) for row in self.rows]
        top = _extreme(min if self.lower else max, means)
        return [index for index, mean in enumerate(means) if mean == top]

    def markdown(self):
        """The table for people: mean and standard deviation, the best rows in bold."""
        seeds = [seed for seed in self.seeds if seed is not None]
        header = [*self.axes, self.metric, *(['n'] if seeds else [])]
        header += [*(f'seed {seed}' for seed in seeds), *self.others]
        lines = [header, ['---'] * len(header)]
        for index, row in enumerate(self.rows):
            values = row.values(self.metric)
            line = [
                *row.labels,
                self._cell(row, self.metric),
                *([str(len(values))] if seeds else []),
            ]
            line += [self._number(values.get(seed, math.nan), self.metric) for seed in seeds]
            line += [self._cell(row, metric) for metric in self.others]
            lines.append([f'**{text}**' for text in line] if index in self.best() else line)
        text = '\n'.join(f'| {" | ".join(line)} |' for line in lines)
        spread = 'mean ± standard deviation (n - 1) over the seeds, ' if len(seeds) > 1 else ''
        order = 'lowest' if self.lower else 'highest'
        return f'{text}\n\nLast value of each training, {spread}bold: {order} {self.metric}.\n'

    def csv(self):
        """The table for programs: also the best value within each training, by mean."""
        peak = 'min' if self.lower else 'max'
        seeds = [seed for seed in self.seeds if seed is not None]
        header = [*self.axes, 'n', *(f'{self.metric} seed {seed}' for seed in seeds)]
        for metric in (self.metric, *self.others):
            header += [f'{metric} mean', f'{metric} std', f'{metric} {peak}']
        out = io.StringIO()
        writer = csv.writer(out, lineterminator='\n')
        writer.writerow([*header, 'best'])
        for index, row in enumerate(self.rows):
            values = row.values(self.metric)
            line = [len(values), *(values.get(seed, math.nan) for seed in seeds)]
            for metric in (self.metric, *self.others):
                line += [row.mean(metric), row.deviation(metric), row.mean(metric, peak)]
            known = ['' if math.isnan(value) else value for value in line]
            writer.writerow([*row.labels, *known, int(index in self.best())])
        return out.getvalue()

    def _cell(self, row, metric):
        text = self._number(row.mean(metric), metric)
        spread = row.deviation(metric)
        return text if math.isnan(spread) else f'{text} ± {self._number(spread, metric)}'

    def _number(self, value, metric):
        """Four decimals for fractions and losses, two for percentages."""
        large = any(abs(row.mean(metric)) >= 10 for row in self.rows)
        return '-' if math.isnan(value) else f'{value:.{2 if large else 4}f}'
