"""What an evaluation leaves behind: tables, CSV, JSON and plots of one or more trackers."""

import csv
import io
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from mmlite.errors import DataError

from .ope import SequenceScore, mean_curves, measure
from .plots import draw_plots
from .protocols import Protocol

#: The 14 attributes of LaSOT, in the order of its files.
LASOT_ATTRIBUTES = (
    'IV', 'POC', 'DEF', 'MB', 'CM', 'ROT', 'BC', 'VC', 'SV', 'FOC', 'FM', 'OV', 'LR', 'ARC',
)  # fmt: skip

PRINTED_GROUPS = 20
"""With more classes than these, only the CSV lists them."""


@dataclass
class Evaluation:
    """The scores of one tracker on one data set.

    Args:
        tracker (str): Its name in tables and plots.
        protocol (Protocol): How frames were counted.
        scores (list[SequenceScore]): In the order of the data set; may be empty.
        failed (dict[str, str]): Sequences that have no score -> why.
    """

    tracker: str
    protocol: Protocol
    scores: list[SequenceScore]
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def curves(self):
        """Curves: Mean over the sequences."""
        return mean_curves(self.scores, self.protocol)

    def numbers(self):
        """Published numbers, and over how many sequences.

        Returns:
            dict[str, float | int]: ``protocol.columns`` in percent (NaN without any sequence),
            ``sequences`` and ``failed``.
        """
        if self.scores:
            numbers = measure(self.curves, self.protocol)
        else:
            numbers = dict.fromkeys(self.protocol.columns, float('nan'))
        return {**numbers, 'sequences': len(self.scores), 'failed': len(self.failed)}

    def fps(self):
        """float | None: Frames over seconds, of the sequences whose times are known."""
        timed = [score for score in self.scores if score.fps]
        if not timed:
            return None
        return sum(s.frames for s in timed) / sum(s.frames / s.fps for s in timed)

    def subset(self, names):
        """Evaluation: The same on some of the sequences."""
        scores = [score for score in self.scores if score.name in names]
        return Evaluation(self.tracker, self.protocol, scores)


def summary_table(evaluations):
    """Text with a row for every tracker, the best first.

    Args:
        evaluations (list[Evaluation]): Of one protocol.
    """
    columns = evaluations[0].protocol.columns
    rows = [('tracker', *columns, 'FPS', 'sequences', 'failed')]
    for evaluation in ranked(evaluations):
        numbers, fps = evaluation.numbers(), evaluation.fps()
        rows.append(
            (
                evaluation.tracker,
                *(f'{numbers[key]:.2f}' for key in columns),
                '-' if fps is None else f'{fps:.1f}',
                str(numbers['sequences']),
                str(numbers['failed']),
            )
        )
    return _aligned(rows)


def group_table(evaluations, groups):
    """Text with the first number of every tracker in every group of sequences.

    Args:
        evaluations (list[Evaluation]): Of one protocol.
        groups (dict[str, set[str]]): Class or attribute -> names of its sequences.
    """
    evaluations = ranked(evaluations)
    column = evaluations[0].protocol.columns[0]
    rows = [(column, 'sequences', *(e.tracker for e in evaluations))]
    for label, values in group_numbers(evaluations, groups).items():
        cells = ('-' if value is None else f'{value:.2f}' for value in values)
        rows.append((label, str(len(groups[label])), *cells))
    return _aligned(rows)


def group_numbers(evaluations, groups):
    """The first number of the protocol in every group.

    Args:
        evaluations (list[Evaluation]): Of one protocol.
        groups (dict[str, set[str]]): Class or attribute -> names of its sequences.

    Returns:
        dict[str, list[float | None]]: Group -> percent of every tracker, None without a sequence.
    """
    column = evaluations[0].protocol.columns[0]
    table = {}
    for label, names in groups.items():
        parts = [evaluation.subset(names) for evaluation in evaluations]
        table[label] = [part.numbers()[column] if part.scores else None for part in parts]
    return table


def class_groups(dataset, names):
    """Sequences by class, where names tell it: ``airplane-1`` of LaSOT is an airplane.

    Args:
        dataset (str): ``metainfo['dataset']``.
        names (Sequence[str]): The sequences.

    Returns:
        dict[str, set[str]]: Class -> names; empty for other data sets.
    """
    groups = {}
    if dataset.startswith('lasot'):
        for name in sorted(names):
            groups.setdefault(name.rsplit('-', 1)[0], set()).add(name)
    return groups


def read_attributes(folder, names, attributes=LASOT_ATTRIBUTES):
    """Sequences by attribute, from the files of LaSOT's toolkit.

    Args:
        folder (str | Path): ``<sequence>.txt`` with a 0 or 1 for every attribute, separated by
            commas or spaces.
        names (Sequence[str]): The sequences.
        attributes (Sequence[str]): What the numbers stand for. Defaults to LaSOT's 14.

    Returns:
        dict[str, set[str]]: Attribute -> names.

    Raises:
        DataError: If a file is missing or has other values.
    """
    groups = {attribute: set() for attribute in attributes}
    for name in names:
        file = Path(folder) / f'{name}.txt'
        try:
            flags = file.read_text().replace(',', ' ').split()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f'attributes {file} cannot be read: {error}') from error
        if len(flags) != len(groups) or not set(flags) <= {'0', '1'}:
            raise DataError(
                f'{file} should have {len(groups)} values 0 or 1, one each for '
                f'{", ".join(attributes)}, but has {" ".join(flags) or "none"}'
            )
        for attribute, flag in zip(attributes, flags, strict=True):
            if flag == '1':
                groups[attribute].add(name)
    return groups


def write_reports(folder, dataset, evaluations, groups=None, plots=True):
    """Write ``summary.json``, ``sequences.csv``, ``groups.csv`` and the plots.

    Args:
        folder (str | Path): Made if it does not exist.
        dataset (str): For titles.
        evaluations (list[Evaluation]): Of one protocol.
        groups (dict[str, set[str]], optional): Classes and attributes.
        plots (bool): Draw the curves. Defaults to True.

    Returns:
        list[Path]: What was written.

    Raises:
        DataError: If a file cannot be written.
    """
    folder = Path(folder)
    files = {
        'summary.json': json.dumps(summary(dataset, evaluations), indent=2).encode() + b'\n',
        'sequences.csv': _csv(_sequence_rows(evaluations)),
    }
    if groups:
        best = evaluations[0].protocol.columns[0]
        rows = [('group', 'sequences', *(f'{e.tracker} {best}' for e in evaluations))]
        for label, values in group_numbers(evaluations, groups).items():
            rows.append((label, len(groups[label]), *(_rounded(value) for value in values)))
        files['groups.csv'] = _csv(rows)
    scored = [evaluation for evaluation in evaluations if evaluation.scores]
    if plots and scored:
        files.update(draw_plots(dataset, ranked(scored)))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            (folder / name).write_bytes(data)
    except OSError as error:
        raise DataError(f'cannot write into {folder}: {error.strerror}') from error
    return [folder / name for name in files]


def summary(dataset, evaluations):
    """Everything that JSON should hold: protocol, numbers, curves, what failed and why."""
    return dict(
        dataset=dataset,
        protocol=asdict(evaluations[0].protocol),
        trackers={
            evaluation.tracker: dict(
                numbers={key: _rounded(v) for key, v in evaluation.numbers().items()},
                fps=_rounded(evaluation.fps()),
                failed=evaluation.failed,
                curves=_plain(evaluation.curves) if evaluation.scores else None,
            )
            for evaluation in evaluations
        },
    )


def ranked(evaluations):
    """The evaluations by their first number, the best first, those without one last."""
    column = evaluations[0].protocol.columns[0]
    values = np.array([evaluation.numbers()[column] for evaluation in evaluations])
    order = np.argsort(-np.nan_to_num(values, nan=-1.0), kind='stable')
    return [evaluations[index] for index in order]


def _sequence_rows(evaluations):
    """Rows of the CSV of sequences, with a header."""
    protocol = evaluations[0].protocol
    rows = [
        ('tracker', 'sequence', 'frames', 'counted', *protocol.columns, 'repaired', 'FPS', 'error')
    ]
    blank = ('',) * (len(protocol.columns) + 4)
    for evaluation in evaluations:
        for score in evaluation.scores:
            numbers = measure(score.curves, protocol).values()
            rows.append(
                (
                    evaluation.tracker, score.name, score.frames, score.counted,
                    *map(_rounded, numbers), score.repaired, _rounded(score.fps), '',
                )
            )  # fmt: skip
        for name, why in evaluation.failed.items():
            rows.append((evaluation.tracker, name, *blank, why))
    return rows


def _csv(rows):
    """Rows as the bytes of a CSV file."""
    text = io.StringIO()
    csv.writer(text, lineterminator='\n').writerows(rows)
    return text.getvalue().encode()


def _plain(curves):
    """Curves as lists of six decimals."""
    return {key: np.round(value, 6).tolist() for key, value in asdict(curves).items()}


def _rounded(value):
    """Four decimals; None for what JSON and CSV cannot hold."""
    return None if value is None or np.isnan(value) else round(value, 4)


def _aligned(rows):
    """Rows of text as a table, the first column to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return '\n'.join(
        '  '.join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
