"""Tracking metric for mmengine's loops."""

import logging
from dataclasses import dataclass
from pathlib import Path

from mmengine.dist import all_gather_object, broadcast_object_list, is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger, print_log

from mmlite.errors import DataError, UserError
from mmlite.registry import METRICS
from mmlite.utils.names import listed

from .ope import SequenceScore, score_sequence
from .protocols import find_protocol
from .report import Evaluation, class_groups, overview, write_reports
from .results import Track
from .submission import SCORED_ELSEWHERE, SERVERS, write_submission


@dataclass(frozen=True)
class _Failure:
    name: str
    reason: str


@METRICS.register_module()
class SOTMetric(BaseMetric):
    """Score the tracks of whole sequences, each when it is finished.

    Returns ``AUC``, ``P``, ``P_norm``, ``OP50`` and ``OP75`` in percent (protocol ``got10k``:
    ``AO``, ``SR50`` and ``SR75``), ``sequences`` (scored ones) and ``failed``. Writes
    ``summary.json``, ``sequences.csv``, plots and, where names tell classes, ``groups.csv``. Where
    only first frames are annotated, ``sequences`` are those tracked, and for GOT-10k and
    TrackingNet the archive for their servers is written, ``<dataset>_submission.zip``, as is that
    for the VOT toolkit.

    Args:
        protocol (str, optional): One of :data:`~.protocols.PROTOCOLS`. Defaults to ``'got10k'`` and
            ``'trackingnet'`` for these data sets, ``'lasot'`` for all others.
        tracker (str): Name in tables and plots. Defaults to ``'tracker'``.
        out_dir (str, optional): Directory for the files. Defaults to that of the log; without a log
            file nothing is written, and a submission is an error.
        plots (bool): Draw plots. Defaults to True.
        prefix (str, optional): Of the keys. Defaults to ``'sot'``.
    """

    default_prefix = 'sot'

    def __init__(self, protocol=None, tracker='tracker', out_dir=None, plots=True, prefix=None):
        super().__init__(collect_device='cpu', prefix=prefix)
        if protocol is not None:
            find_protocol(protocol)  # fail now, not after hours
        self.protocol, self.tracker, self.out_dir, self.plots = protocol, tracker, out_dir, plots

    def process(self, data_batch, data_samples):
        for sequence, track in zip(data_batch, data_samples, strict=True):
            if not sequence.annotated or sequence.dataset in SCORED_ELSEWHERE:
                self.results.append(track)
                continue
            try:
                self.results.append(score_sequence(sequence, track, self._protocol))
            except DataError as error:
                _log_error(str(error))
                self.add_failure(sequence.name, str(error))

    def add_failure(self, name, reason):
        """Record a sequence that could not be tracked; it is counted and listed, not scored."""
        self.results.append(_Failure(name, reason))

    def evaluate(self, size):
        """Gather results and compute the metrics; what two processes evaluated counts once."""
        results = {r.name: r for part in all_gather_object(self.results) for r in part}
        self.results.clear()
        outcome = [None]
        if is_main_process():
            try:
                self._check_complete(results, size)
                outcome = [self.compute_metrics(list(results.values()))]
            except UserError as error:
                outcome = [error]
        broadcast_object_list(outcome)
        if isinstance(outcome[0], UserError):
            raise outcome[0]
        return {f'{self.prefix}/{key}': value for key, value in outcome[0].items()}

    def compute_metrics(self, results):
        order = {name: place for place, name in enumerate(self._meta('names') or ())}
        results = sorted(results, key=lambda r: (order.get(r.name, len(order)), r.name))
        failed = {r.name: r.reason for r in results if isinstance(r, _Failure)}
        tracks = [result for result in results if isinstance(result, Track)]
        scores = [result for result in results if isinstance(result, SequenceScore)]
        if failed:
            counts = f'{len(failed)} of {len(results)} sequences failed and are not scored'
            _log_error(f'{counts}: {listed(failed)}')
        if tracks and not scores:
            self._submit(tracks, failed)
            return dict(sequences=len(tracks), failed=len(failed))
        if tracks:
            names = listed(track.name for track in tracks)
            _log_error(f'{len(tracks)} sequences have no annotation and are not scored: {names}')
        evaluation = Evaluation(self.tracker, self._protocol, scores, failed)
        groups = class_groups(self._dataset, [score.name for score in scores])
        text = overview(self._dataset, [evaluation], groups, self._meta('protocol'))
        print_log(text, 'current')
        if folder := self._folder():
            write_reports(folder, self._dataset, [evaluation], groups, self.plots)
            print_log(f'Scores of every sequence are in {folder}', 'current')
        return evaluation.numbers()

    def _submit(self, tracks, failed):
        """Write the archive for the server, if there is one and all sequences were tracked."""
        if self._dataset not in SERVERS:
            print_log(f'{self._dataset} has no annotation: nothing is scored', 'current')
            return
        if failed:
            _log_error('no submission is written: it would be incomplete')
            return
        folder = self._folder()
        if folder is None:
            place = 'a directory: set out_dir of SOTMetric'
            raise UserError(f'the submission for {self._dataset} needs {place}')
        file = folder / f'{self._dataset}_submission.zip'
        write_submission(file, self._dataset, tracks, [track.name for track in tracks])
        judge = 'toolkit' if self._dataset in SCORED_ELSEWHERE else 'server'
        print_log(f'{len(tracks)} tracks for the {judge} of {self._dataset}: {file}', 'current')

    def _check_complete(self, results, size):
        missing = [name for name in self._meta('names') or () if name not in results]
        if missing:
            problem = f'of the {size} sequences of {self._dataset} were not evaluated'
            raise DataError(f'{len(missing)} {problem}: {listed(missing)}')
        if len(results) != size:
            problem = f'sequences were evaluated, but {self._dataset} has {size}'
            raise DataError(f'{len(results)} {problem}')

    def _meta(self, key):
        return self.dataset_meta.get(key)

    @property
    def _protocol(self):
        return find_protocol(self.protocol, self._meta('protocol'))

    @property
    def _dataset(self):
        return self._meta('dataset')

    def _folder(self):
        if self.out_dir is not None:
            return Path(self.out_dir)
        log = MMLogger.get_current_instance().log_file
        return Path(log).parent if log else None


def _log_error(sentence):
    print_log(sentence, 'current', logging.ERROR)
