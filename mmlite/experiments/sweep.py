"""One recipe trained over a grid, a process for each trial."""

import hashlib
import json
import os
import time
from collections import deque
from pathlib import Path
from statistics import fmean

import filelock
import torch

from mmlite.engine.cli import sentence, stopped_by_signals
from mmlite.engine.config_file import load_config
from mmlite.engine.initializations import own_backbone
from mmlite.errors import OutputError, UserError
from mmlite.utils.progress import format_seconds

from .grid import GRID, SEED, grid_axes, init_axis, make_trials
from .results import Table, choose_metric, metric_of
from .trial import Training

POLL_SECONDS = 0.2


class Incomplete(UserError):
    """Something failed or is missing; all else is finished."""

    exit_code = 1


class Sweep:
    """One recipe over initializations, settings and seeds.

    Trials that an earlier sweep finished in the same directory are taken over.

    Args:
        config (str | Path): Config file.
        work_dir (str | Path, optional): Defaults to ``work_dirs/sweep_<config name>``.
        inits (Sequence[str]): See :func:`~.grid.init_axis`.
        seeds (Sequence[int]): Random seeds.
        grid (dict[str, list], optional): See :func:`~.grid.grid_axes`. Defaults to the config's
            ``sweep_grid``.
        options (dict, optional): Settings of all trials, dotted key -> value.
        flags (Sequence[str]): Of ``tools/train.py``, e.g. ``'--auto-scale-lr'``.
        metric (str, optional): See :func:`~.results.choose_metric`.
        lower (bool): Whether the lowest metric is the best, as it always is for losses.
    """

    def __init__(self, config, work_dir=None, inits=(), seeds=(), grid=None, options=None,
                 flags=(), metric=None, lower=False):  # fmt: skip
        options = options or {}
        cfg = load_config(config, options)
        self.work_dir = Path(work_dir or Path('work_dirs', f'sweep_{Path(config).stem}'))
        self.axes = {}
        if inits:
            self.axes['init'] = init_axis(inits, own_backbone(cfg, cfg.get('load_from')))
        self.axes |= grid_axes(grid or cfg.get(GRID) or {})
        if seeds:
            self.axes[SEED] = [(str(seed), {'randomness.seed': seed}) for seed in seeds]
        self.trials = make_trials(self.axes, options)
        recipe = fingerprint(load_config(config) if options else cfg)
        self.trainings = [
            Training(config, self.work_dir, trial, options, flags, recipe) for trial in self.trials
        ]
        self.metric, self.lower = metric, lower
        hook = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
        self.save_best = hook.get('save_best')

    @property
    def failed(self):
        """The trainings that failed."""
        return [training for training in self.trainings if training.failure]

    def table(self):
        """Compare the results so far, see :meth:`.Table.write` for the files; None without any."""
        results = {t.name: t.result for t in self.trainings if t.result}
        if not results:
            return None
        metric = choose_metric(list(results.values()), self.metric, self.save_best)
        lower = self.lower or 'loss' in metric.rpartition('/')[2]
        table = Table(self.axes, self.trials, results, metric, lower)
        table.write(self.work_dir)
        return table

    def run(self, jobs=None):
        """Train what is not finished, past failures; returns the table of all results.

        ``jobs`` trainings run at once, by default one a GPU. A UserError says, before any training,
        that a config cannot work or another sweep runs here.
        """
        waiting = deque(t for t in self.trainings if not t.result)
        for training in waiting:
            training.check()
        gpus = visible_gpus()
        jobs = jobs or max(len(gpus), 1)
        free, running = deque(range(jobs)), {}
        with self._lock() as lock, stopped_by_signals():
            self.table()
            finished = len(self.trainings) - len(waiting)
            _say(f'{len(self.trainings)} trials, {finished} finished before, {jobs} at a time')
            try:
                while waiting or running:
                    while waiting and free:
                        training, slot = waiting.popleft(), free.popleft()
                        running[training] = slot
                        environment = make_environment(slot, jobs, gpus, os.environ)
                        training.start(environment, lock._context.lock_file_fd)
                        gpu = f' on GPU {gpus[slot % len(gpus)]}' if gpus else ''
                        resumed = ', from its last checkpoint' if training.resumed else ''
                        _say(f'{self._label(training)} started{gpu}{resumed}')
                    ended = [t for t in running if t.process.poll() is not None]
                    for training in ended:
                        free.append(running.pop(training))
                        training.finish()
                        left = self._time_left(len(waiting) + len(running), jobs)
                        _say(f'{self._label(training)} {self._outcome(training)}{left}')
                    if not ended:
                        time.sleep(POLL_SECONDS)
            finally:
                for training in running:
                    if training.process:
                        training.process.stop()
            return self.table()

    def raise_failures(self):
        """Raise :class:`Incomplete` with the reason of each trial that failed."""
        if self.failed:
            reasons = '; '.join(f'{t.name}: {t.failure} ({t.log})' for t in self.failed)
            raise Incomplete(f'{len(self.failed)} of {len(self.trials)} trials failed: {reasons}')

    def _lock(self):
        """Keep other sweeps out of the directory while the returned context is open."""
        try:
            self.work_dir.mkdir(parents=True, exist_ok=True)
            return filelock.FileLock(self.work_dir / 'sweep.lock').acquire(timeout=0)
        except filelock.Timeout:
            raise UserError(
                f'another sweep, or a training that it left behind, runs in {self.work_dir}: wait '
                'for its end or choose another --work-dir'
            ) from None
        except OSError as error:
            reason = f'{self.work_dir} cannot be written: {error.strerror}'
            raise OutputError(f'--work-dir {reason}') from error

    def _label(self, training):
        return f'[{self.trainings.index(training) + 1}/{len(self.trainings)}] {training.name}'

    def _outcome(self, training):
        """What became of a training; brings the table up to date."""
        if training.failure:
            return f'failed: {training.failure}'
        took = f'finished in {format_seconds(training.result["seconds"])}'
        try:
            metric = self.table().metric
        except UserError as error:  # the sweep ends with it; until then, trials are of use
            return f'{took}; {sentence(error)}'
        value = metric_of(training.result, metric)
        return took if value is None else f'{took}: {metric} {value:.4g}'

    def _time_left(self, count, jobs):
        """An estimate from the trials that were trained without a break."""
        results = [t.result for t in self.trainings if t.result]
        seconds = [r['seconds'] for r in results if not r['resumed']]
        if not seconds or not count:
            return ''
        return f'; at most {format_seconds(-(-count // jobs) * fmean(seconds))} left'


def fingerprint(cfg):
    """Hash a resolved config without its ``sweep_grid``: a longer grid keeps finished trials."""
    settings = {key: value for key, value in cfg.to_dict().items() if key != GRID}
    text = json.dumps(settings, sort_keys=True, default=lambda v: getattr(v, '__name__', '?'))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def visible_gpus():
    """GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them."""
    count = torch.cuda.device_count()
    chosen = os.environ.get('CUDA_VISIBLE_DEVICES')
    return chosen.split(',')[:count] if chosen else [str(index) for index in range(count)]


def make_environment(slot, jobs, gpus, environ):
    """Environment of a training in one of ``jobs`` slots: a GPU in turn, or a part of the CPU."""
    environment = dict(environ, PYTHONUNBUFFERED='1')
    if gpus:
        environment['CUDA_VISIBLE_DEVICES'] = gpus[slot % len(gpus)]
    elif jobs > 1:
        environment.setdefault('OMP_NUM_THREADS', str(max((os.cpu_count() or 1) // jobs, 1)))
    return environment


def _say(line):
    print(time.strftime('%H:%M:%S'), line, flush=True)
