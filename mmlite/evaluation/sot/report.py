"""Results of an evaluation: tables, CSV, JSON and plots of one or more trackers."""

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from mmlite.datasets.sot.annotations import read_table
from mmlite.errors import DataError
from mmlite.utils import render_table, write_bytes, write_csv, write_json
from mmlite.visualization import draw_curves

from .ope import SequenceScore, mean_curves, measure
from .protocols import PROTOCOLS, Protocol

LASOT_ATTRIBUTES = (
    'IV', 'POC', 'DEF', 'MB', 'CM', 'ROT', 'BC', 'VC', 'SV', 'FOC', 'FM', 'OV', 'LR', 'ARC',
)  # fmt: skip
"""The 14 attributes of LaSOT, in the order of its files."""

PRINTED_GROUPS = 20
"""Of more groups than these, only the CSV is written."""


@dataclass
class Evaluation:
    """Scores of one tracker on one data set, in the order of the data set."""

    tracker: str
    protocol: Protocol
    scores: list[SequenceScore]
    failed: dict[str, str] = field(default_factory=dict)  # sequence without a score -> reason

    @property
    def curves(self):
        return mean_curves(self.scores, self.protocol)

    def numbers(self):
        """Published numbers in percent, NaN without any sequence, ``sequences`` and ``failed``."""
        numbers = dict.fromkeys(self.protocol.columns, float('nan'))
        if self.scores:
            numbers = measure(self.curves, self.protocol)
        return {**numbers, 'sequences': len(self.scores), 'failed': len(self.failed)}

    def fps(self):
        """Frames over seconds, of the sequences whose times are known; None without any."""
        timed = [score for score in self.scores if score.fps]
        if not timed:
            return None
        return sum(s.frames for s in timed) / sum(s.frames / s.fps for s in timed)

    def subset(self, names):
        return replace(self, scores=[score for score in self.scores if score.name in names])


def overview(title, evaluations, groups, usual):
    """Text of the tables, and a note if papers use another protocol, ``usual``."""
    protocol = evaluations[0].protocol
    text = [f'{title}, protocol {protocol.name}:', summary_table(evaluations)]
    if 1 < len(groups) <= PRINTED_GROUPS:
        text.append(group_table(evaluations, groups))
    if usual in PROTOCOLS and usual != protocol.name:
        note = f'papers score this data set by protocol {usual!r}, these numbers are by another'
        text.append(note)
    return '\n'.join(text)


def summary_table(evaluations):
    """Render a table with a row for every tracker of one protocol, the best first."""
    columns = evaluations[0].protocol.columns
    rows = []
    for evaluation in ranked(evaluations):
        *numbers, sequences, failed = evaluation.numbers().values()
        fps = '-' if evaluation.fps() is None else f'{evaluation.fps():.1f}'
        numbers = [f'{number:.2f}' for number in numbers]
        rows.append([evaluation.tracker, *numbers, fps, sequences, failed])
    return render_table(['tracker', *columns, 'FPS', 'sequences', 'failed'], rows)


def group_table(evaluations, groups):
    """Render the first number of every tracker in ``groups``, a dict of label -> names."""
    evaluations = ranked(evaluations)
    header = [evaluations[0].protocol.columns[0], 'sequences', *(e.tracker for e in evaluations)]
    rows = [
        [label, count, *('-' if value is None else f'{value:.2f}' for value in values)]
        for label, count, *values in _group_rows(evaluations, groups)
    ]
    return render_table(header, rows)


def class_groups(dataset, names):
    """Group sequences of LaSOT, and of no other data set, by the class in their names."""
    groups = {}
    if dataset.startswith('lasot'):
        for name in sorted(names):
            groups.setdefault(name.rsplit('-', 1)[0], set()).add(name)
    return groups


def read_attributes(folder, names, attributes=LASOT_ATTRIBUTES):
    """Sequences by attribute, from LaSOT's ``<sequence>.txt`` with a 0 or 1 for each attribute."""
    groups = {attribute: set() for attribute in attributes}
    for name in names:
        file = Path(folder) / f'{name}.txt'
        flags = read_table(file).ravel()
        if len(flags) != len(groups) or not np.isin(flags, (0, 1)).all():
            legal = f'{len(groups)} values 0 or 1, one each for {", ".join(attributes)}'
            raise DataError(f'{file} must have {legal}')
        for attribute, flag in zip(attributes, flags, strict=True):
            if flag:
                groups[attribute].add(name)
    return groups


def write_reports(folder, dataset, evaluations, groups=None, plots=True):
    """Write ``summary.json``, ``sequences.csv``, ``groups.csv`` and plots; returns their paths."""
    folder = Path(folder)
    files = [folder / 'summary.json', folder / 'sequences.csv']
    write_json(files[0], _summary(dataset, evaluations))
    write_csv(files[1], *_sequence_rows(evaluations))
    if groups:
        best = evaluations[0].protocol.columns[0]
        header = ['group', 'sequences', *(f'{e.tracker} {best}' for e in evaluations)]
        files.append(folder / 'groups.csv')
        write_csv(files[-1], _group_rows(evaluations, groups), header)
    scored = [evaluation for evaluation in evaluations if evaluation.scores]
    if plots and scored:
        for name, image in _draw_plots(dataset, ranked(scored)).items():
            files.append(folder / name)
            write_bytes(files[-1], image)
    return files


def ranked(evaluations):
    """Sort evaluations by their first number, the best first, those without one last."""
    column = evaluations[0].protocol.columns[0]
    values = np.array([evaluation.numbers()[column] for evaluation in evaluations])
    order = np.argsort(-np.nan_to_num(values, nan=-1.0), kind='stable')
    return [evaluations[index] for index in order]


def _draw_plots(dataset, evaluations):
    """PNG of every curve that the protocol has a number for, with the number of each tracker."""
    protocol = evaluations[0].protocol
    plots = {'success': ('Success', 'overlap threshold', protocol.overlaps, protocol.columns[0])}
    if 'P' in protocol.columns:
        label = 'center error threshold'
        plots['precision'] = ('Precision', f'{label} (px)', protocol.pixels, 'P')
        plots['norm_precision'] = (
            'Normalized precision', f'normalized {label}', protocol.shares, 'P_norm',
        )  # fmt: skip
    images = {}
    for key, (title, xlabel, thresholds, column) in plots.items():
        title = f'{title} on {dataset}'
        lines = {
            f'{e.tracker}: {column} {e.numbers()[column]:.1f}, {len(e.scores)} sequences': (
                thresholds, getattr(e.curves, key),
            )
            for e in evaluations
        }  # fmt: skip
        if len(lines) == 1:  # which has no legend
            title += f'\n{next(iter(lines))}'
        images[f'{key}.png'] = draw_curves({title: lines}, xlabel)
    return images


def _group_rows(evaluations, groups):
    """Each group, its size, and percent of every tracker, None without a sequence."""
    column = evaluations[0].protocol.columns[0]
    for label, names in groups.items():
        parts = (evaluation.subset(names) for evaluation in evaluations)
        yield label, len(names), *(_rounded(part.numbers()[column]) for part in parts)


def _summary(dataset, evaluations):
    trackers = {}
    for evaluation in evaluations:
        curves = asdict(evaluation.curves) if evaluation.scores else {}
        trackers[evaluation.tracker] = dict(
            numbers={key: _rounded(value) for key, value in evaluation.numbers().items()},
            fps=_rounded(evaluation.fps()),
            failed=evaluation.failed,
            curves={key: np.round(value, 6).tolist() for key, value in curves.items()} or None,
        )
    return dict(dataset=dataset, protocol=asdict(evaluations[0].protocol), trackers=trackers)


def _sequence_rows(evaluations):
    columns = evaluations[0].protocol.columns
    header = ['tracker', 'sequence', 'frames', 'counted', *columns, 'repaired', 'FPS', 'error']
    rows = []
    for evaluation in evaluations:
        for score in evaluation.scores:
            numbers = map(_rounded, measure(score.curves, evaluation.protocol).values())
            start = [evaluation.tracker, score.name, score.frames, score.counted]
            rows.append([*start, *numbers, score.repaired, _rounded(score.fps), None])
        for name, reason in evaluation.failed.items():
            rows.append([evaluation.tracker, name, *[None] * (len(header) - 3), reason])
    return rows, header


def _rounded(value):
    """Four decimals; None for NaN."""
    return None if value is None or np.isnan(value) else round(value, 4)
