"""Train the same recipe over a grid of initialisations, settings and seeds, and compare.

Every cell of the grid is a ``tools/train.py`` of its own. Started again, the sweep leaves out what
is finished and goes on with what is not.

Example:
    python tools/sweep.py CONFIG --init scratch mae=work_dirs/mae/epoch_400.pth --seeds 0 1 2
    python tools/sweep.py CONFIG --grid optim_wrapper.optimizer.lr=0.01,0.03,0.1 \\
        "schedule:(train_cfg.max_epochs+param_scheduler.1.end,
        param_scheduler.0.end+param_scheduler.1.begin)=(50,10),(100,20)"
"""

import argparse
import fcntl
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections import deque
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.engine import launch, sweep
from mmlite.engine import sweep_results as results
from mmlite.engine.check_config import check_config
from mmlite.engine.cli import sentence, stopped_by_signals, tool
from mmlite.engine.config_file import load_config
from mmlite.errors import UserError
from mmlite.utils import write_json

TRAIN = Path(__file__).resolve().with_name('train.py')
POLL_SECONDS = 0.2
PATIENCE_SECONDS = 20  # for trainings to end when the sweep is stopped


class CellsFailed(UserError):
    """Trainings of a sweep failed; the others are finished."""

    exit_code = 1


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file, as for tools/train.py')
    parser.add_argument(
        '--init',
        nargs='+',
        default=[],
        metavar='NAME[=CHECKPOINT]',
        help='what the backbone starts from: a checkpoint, or nothing for a bare name',
    )
    parser.add_argument('--seeds', nargs='+', type=int, default=[], help='random seeds')
    parser.add_argument(
        '--grid',
        nargs='+',
        action='extend',
        default=[],
        metavar='KEY=V1,V2',
        help='settings to vary, every one with every other; several that change together as '
        '"NAME:(KEY,KEY+KEY)=(V,V),(V,V)", where + joins keys of the same value (default: the '
        "config's sweep_grid)",
    )
    parser.add_argument(
        '--metric',
        help="what to compare by, e.g. coco/bbox_mAP or loss (default: the config's save_best, "
        'else the first of the validation, else the loss)',
    )
    parser.add_argument(
        '--lower', action='store_true', help='the lowest metric is the best, as always for losses'
    )
    parser.add_argument('--work-dir', type=Path, help='default: work_dirs/sweep_<config name>')
    parser.add_argument(
        '--jobs', type=int, help='trainings at once (default: one a GPU, without GPU one)'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action='extend',
        default=[],
        metavar='KEY=VALUE',
        help='settings of all cells, as for tools/train.py',
    )
    parser.add_argument('--auto-scale-lr', action='store_true', help='as for tools/train.py')
    precision = parser.add_mutually_exclusive_group()
    precision.add_argument('--amp', action='store_true', help='train in mixed precision (GPU)')
    precision.add_argument('--no-amp', action='store_true', help='train in full precision')
    args = parser.parse_args(argv)
    if args.jobs is not None and args.jobs < 1:
        parser.error(f'argument --jobs: must be at least 1, got {args.jobs}')
    args.work_dir = args.work_dir or Path('work_dirs', f'sweep_{Path(args.config).stem}')
    passed_on = dict(amp='--amp', no_amp='--no-amp', auto_scale_lr='--auto-scale-lr')
    args.flags = [flag for name, flag in passed_on.items() if vars(args)[name]]
    return args


@tool
def main(argv=None):
    args = parse_args(argv)
    fixed = sweep.parse_options(args.cfg_options)
    cfg = load_config(args.config, fixed)
    axes = make_axes(args, cfg)
    sweep.check_axes(axes, cfg, fixed)
    cells = sweep.make_cells(axes)
    with only_sweep_in(args.work_dir) as lock:
        recipe = sweep.fingerprint(load_config(args.config))
        trainings = [Training(args, cell, recipe) for cell in cells]
        for training in trainings:
            training.check()
        report = Report(args, axes, trainings, cfg)
        if report.results():
            report.write()
        run(trainings, args.jobs, lock, report)
        if report.results():
            print(f'\n{report.write()}\nIn {args.work_dir}: table.md, grid.csv')
    report.raise_failures()


def make_axes(args, cfg):
    """The axes of the command line: initialisations, grid (else the config's), seeds."""
    axes = [sweep.parse_axis(item) for item in args.grid or cfg.get(sweep.GRID) or ()]
    if args.init:
        backbone = (cfg.get('model') or {}).get('backbone')
        if backbone is None:
            raise UserError('--init needs model.backbone, which the config does not have')
        if cfg.get('load_from'):
            raise UserError(
                f'--init would have no effect, as the config loads all weights from load_from='
                f'{cfg.load_from!r}: add --cfg-options load_from=None'
            )
        axes.insert(0, sweep.init_axis(args.init, backbone))
    return [*axes, sweep.seed_axis(args.seeds)] if args.seeds else axes


@contextmanager
def only_sweep_in(folder):
    """Keep other sweeps out of ``folder``; yields the file descriptor that does.

    Trainings inherit it: one that outlives a killed sweep keeps the next sweep out.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / 'sweep.lock').open('w')
    except OSError as error:
        raise UserError(f'--work-dir {folder} cannot be written: {error.strerror}') from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(
                f'another sweep, or a training that one left behind, is running in {folder}: wait '
                'for its end or choose another --work-dir'
            ) from error
        yield file.fileno()


class Training:
    """A cell and what becomes of it: its folder, process, result or failure.

    Args:
        args (argparse.Namespace): Of :func:`parse_args`.
        cell (sweep.Cell): The cell.
        recipe (str): Fingerprint of the config.
    """

    def __init__(self, args, cell, recipe):
        self.args = args
        self.cell = cell
        self.folder = args.work_dir / cell.name
        self.log = self.folder / 'train.log'
        self.options = (*args.cfg_options, *cell.options)
        self.identity = sweep.identity(self.options, args.flags, recipe)
        self.result = self.failure = self.process = None

    def check(self):
        """Take over a result of an earlier sweep, or check that the training can start.

        Raises:
            UserError: The config cannot work, or the folder holds another training.
        """
        result, begun = self.folder / 'result.json', self.folder / 'cell.json'
        if result.is_file():
            self.result = sweep.read_same(result, self.identity)
            return
        if self._begun() and begun.is_file():
            sweep.read_same(begun, self.identity)
        options = sweep.parse_options(self.options)
        cfg = launch.read_config(self.args.config, str(self.folder), options)
        if self.args.amp or self.args.no_amp:
            launch.set_amp(cfg, self.args.amp)
        if self.args.auto_scale_lr:
            launch.set_auto_scale_lr(cfg)
        check_config(cfg, 'train')
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise UserError(f'{self.folder} cannot be made: {error.strerror}') from error

    def start(self, environment, lock):
        """Start the process."""
        self.resumed = self._begun()
        if not self.resumed:
            earlier = [log.parent.parent.name for log in self.folder.glob('*/vis_data/*.json')]
            begun = dict(self.identity, earlier_runs=earlier)
            write_json(self.folder / 'cell.json', begun, indent=1)
        command = sweep.train_command(
            sys.executable, TRAIN, self.args.config, self.folder, self.options,
            self.args.flags, self.resumed,
        )  # fmt: skip
        self.started = time.monotonic()
        with self.log.open('a') as log:
            log.write(f'$ {shlex.join(command)}\n')
            log.flush()
            self.log_start = log.tell()
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,  # with its data workers, to be stopped as one
                pass_fds=[lock],
            )

    def seconds(self):
        """Since the process was started."""
        return time.monotonic() - self.started

    def finish(self):
        """Take the result of the process that ended, or note why it failed."""
        code = self.process.returncode
        if code:
            with self.log.open(errors='replace') as log:
                log.seek(self.log_start)
                self.failure = sweep.last_error(log.read())
            if code < 0:
                self.failure = f'stopped by {signal.Signals(-code).name} after: {self.failure}'
            return
        try:
            begun = self.folder / 'cell.json'
            earlier = json.loads(begun.read_text())['earlier_runs'] if begun.is_file() else ()
            metrics = results.read_metrics(self.folder, earlier)
        except UserError as error:
            self.failure = sentence(error)
            return
        self.result = dict(
            self.identity, seconds=round(self.seconds(), 1), resumed=self.resumed, **metrics
        )
        write_json(self.folder / 'result.json', self.result, indent=1)

    def stop(self):
        """End the process, where it was started, and its workers."""
        if self.process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def _begun(self):
        """Whether there is a checkpoint to go on from."""
        return (self.folder / 'last_checkpoint').is_file()


def run(trainings, jobs, lock, report):
    """Train what has no result, several at once; all are stopped when the sweep is."""
    waiting = deque(training for training in trainings if training.result is None)
    gpus = visible_gpus()
    free = deque(sweep.make_slots(jobs, gpus, os.environ, os.cpu_count() or 1))
    report.begin(len(waiting), len(free))
    running = {}
    try:
        with stopped_by_signals():
            while waiting or running:
                while waiting and free:
                    training, slot = waiting.popleft(), free.popleft()
                    running[training] = slot
                    training.start(slot, lock)
                    report.started(training, slot['CUDA_VISIBLE_DEVICES'] if gpus else None)
                ended = [training for training in running if training.process.poll() is not None]
                for training in ended:
                    free.append(running.pop(training))
                    training.finish()
                    report.ended(training, list(running), len(waiting))
                if not ended:
                    time.sleep(POLL_SECONDS)
    finally:
        for training in running:
            training.stop()


def visible_gpus():
    """Names of the GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` has them."""
    count = torch.cuda.device_count()
    chosen = os.environ.get('CUDA_VISIBLE_DEVICES')
    return chosen.split(',')[:count] if chosen else [str(index) for index in range(count)]


class Report:
    """What the sweep tells: lines while it runs, and the table.

    Args:
        args (argparse.Namespace): Of :func:`parse_args`.
        axes (Sequence[sweep.Axis]): Axes of the sweep.
        trainings (Sequence[Training]): All cells.
        cfg (mmengine.config.Config): The config, for its ``save_best``.
    """

    def __init__(self, args, axes, trainings, cfg):
        self.args = args
        self.axes = axes
        self.trainings = trainings
        hook = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
        self.save_best = hook.get('save_best')

    def results(self):
        """Results so far by name of the cell."""
        return {t.cell.name: t.result for t in self.trainings if t.result is not None}

    def metric(self):
        """The metric that decides; see :func:`results.choose_metric`."""
        found = list(self.results().values())
        return results.choose_metric(found, self.args.metric, self.save_best)

    def write(self):
        """Write ``table.md`` and ``grid.csv``.

        Returns:
            str: The table for people.

        Raises:
            UserError: There is no such metric.
        """
        metric = self.metric()
        lower = self.args.lower or 'loss' in metric.rpartition('/')[2]
        cells = [training.cell for training in self.trainings]
        table = results.Table.of(self.axes, cells, self.results(), metric, lower)
        text = table.markdown()
        (self.args.work_dir / 'table.md').write_text(text)
        (self.args.work_dir / 'grid.csv').write_text(table.csv())
        return text

    def begin(self, waiting, slots):
        """Say what there is to do."""
        self.slots = slots
        before = len(self.trainings) - waiting
        say(f'{len(self.trainings)} cells, {before} finished before, {slots} at a time')

    def started(self, training, gpu):
        """Say that a training starts."""
        place = '' if gpu is None else f' on GPU {gpu}'
        resumed = ', from its last checkpoint' if training.resumed else ''
        say(f'{self._number(training)} started{place}{resumed}')

    def ended(self, training, running, waiting):
        """Say what became of a training and how long the rest will take; bring the table up."""
        if training.failure:
            say(f'{self._number(training)} failed: {training.failure}')
        else:
            took = sweep.duration(training.result['seconds'])
            say(f'{self._number(training)} finished in {took}{self._value(training.result)}')
        whole = [r['seconds'] for r in self.results().values() if not r['resumed']]
        left = sweep.time_left(whole, [t.seconds() for t in running], waiting, self.slots)
        if left:
            say(f'about {sweep.duration(left)} left')

    def raise_failures(self):
        """Raise :class:`CellsFailed` with the reason of each cell that failed."""
        failed = [training for training in self.trainings if training.failure]
        if failed:
            reasons = '; '.join(f'{t.cell.name}: {t.failure} ({t.log})' for t in failed)
            raise CellsFailed(f'{len(failed)} of {len(self.trainings)} cells failed: {reasons}')

    def _value(self, result):
        """The metric of a finished training, once the table is up to date with it."""
        try:
            self.write()
        except UserError as error:  # the sweep ends with it; until then, cells are of use
            return f'; {sentence(error)}'
        metric = self.metric()
        value = results.metrics_of(result).get(metric)
        return f': {metric} {value["final"]:.4g}' if value else ''

    def _number(self, training):
        return f'[{self.trainings.index(training) + 1}/{len(self.trainings)}] {training.cell.name}'


def say(line):
    """Print ``line`` with the time of day."""
    print(time.strftime('%H:%M:%S'), line, flush=True)


if __name__ == '__main__':
    sys.exit(main())
