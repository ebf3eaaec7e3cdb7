"""The training of one trial: its process, and the record of what it belongs to and reached."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from mmlite.engine import launch
from mmlite.engine.check_config import check_config
from mmlite.engine.cli import sentence
from mmlite.engine.initializations import split_init
from mmlite.errors import UserError
from mmlite.utils import sha256, write_json
from mmlite.utils.paths import suite_path

from .grid import INIT, option_words
from .results import read_metrics

TRAIN = suite_path('tools', 'train.py')
CHECKPOINT = 'SHA-256 of the checkpoint'
PATIENCE_SECONDS = 20  # for a process that is stopped


class Training:
    """A trial and its outcome: ``result``, the content of ``trial.json``, or ``failure``, a string.

    Settings in ``options`` and ``flags`` of ``tools/train.py`` are shared by all trials; ``recipe``
    is the hash of the config, ``work_dir`` that of the sweep.
    """

    def __init__(self, config, work_dir, trial, options, flags, recipe):
        self.config, self.name, self.flags = config, trial.name, flags
        self.folder = work_dir / trial.name
        self.record, self.log = self.folder / 'trial.json', self.folder / 'train.log'
        self.options = {**options, **trial.options}
        self.identity = {**self.options, **dict.fromkeys(flags, True), 'config': recipe}
        _, checkpoint = split_init(self.options.get(INIT, ''))
        if checkpoint and Path(checkpoint).is_file():
            self.identity[CHECKPOINT] = sha256(checkpoint)[:16]
        self.result = self.failure = self.process = None
        self.resumed = (self.folder / 'last_checkpoint').is_file()
        record = self._read_record()
        if 'training' in record:
            self.result = record
        if self.result or (record and self.resumed):
            self._check_same(record['settings'])

    def check(self):
        """Check the config; raises a :class:`UserError`."""
        cfg = launch.read_config(self.config, str(self.folder), self.options)
        if '--amp' in self.flags or '--no-amp' in self.flags:
            launch.set_amp(cfg, '--amp' in self.flags)
        if '--auto-scale-lr' in self.flags:
            launch.set_auto_scale_lr(cfg)
        check_config(cfg, 'train')

    def start(self, environment, lock):
        """Start the process; it inherits the file descriptor ``lock``."""
        self.folder.mkdir(exist_ok=True)
        if not self.resumed:
            # an earlier training, abandoned before its first checkpoint, does not count
            for log in self.folder.glob('*/vis_data/scalars.json'):
                log.unlink()
            write_json(self.record, dict(settings=self.identity))
        # without a checkpoint, --resume would only keep load_from from being loaded
        flags = [*self.flags, '--resume'] if self.resumed else self.flags
        command = [sys.executable, str(TRAIN), str(self.config), '--work-dir', str(self.folder)]
        command += [*flags, *option_words(self.options)]
        self.started = time.monotonic()
        # one that outlives a killed sweep keeps the next sweep out
        self.process = Program(command, self.log, env=environment, pass_fds=[lock])

    def finish(self):
        """Record the result of the process that ended, or note why it failed."""
        self.failure = self.process.failure()
        if self.failure:
            return
        try:
            metrics = read_metrics(self.folder)
        except UserError as error:
            self.failure = sentence(error)
            return
        seconds = round(time.monotonic() - self.started, 1)
        self.result = dict(
            settings=self.identity, name=self.name, seconds=seconds, resumed=self.resumed, **metrics
        )
        write_json(self.record, self.result)

    def _read_record(self):
        """Content of ``trial.json``; an empty dict if there is none."""
        if not self.record.is_file():
            return {}
        try:
            record = json.loads(self.record.read_text(encoding='utf-8'))
            if 'settings' in record:
                return record
        except (ValueError, TypeError):
            pass
        raise UserError(
            f'{self.record} is damaged or was not written here: choose another --work-dir'
        )

    def _check_same(self, earlier):
        """Refuse settings that differ from recorded ones; a checkpoint that is gone is the same."""
        if CHECKPOINT in earlier:
            self.identity.setdefault(CHECKPOINT, earlier[CHECKPOINT])
        current = json.loads(json.dumps(self.identity))
        for key in dict.fromkeys([*current, *earlier]):
            before, now = (repr(each.get(key, 'not set')) for each in (earlier, current))
            if before != now:
                raise UserError(
                    f'{self.record}: {key} was {before} and is now {now}; delete {self.folder} to '
                    'train it anew, or choose another --work-dir'
                )


class Program(subprocess.Popen):
    """A process that prints into a log; a group of its own, so that its workers stop with it."""

    def __init__(self, command, log, **options):
        self.log = log
        with log.open('a', encoding='utf-8') as out:
            out.write(f'$ {shlex.join(command)}\n')
            out.flush()
            self.log_start = out.tell()
            super().__init__(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                start_new_session=True, **options,
            )  # fmt: skip

    def failure(self):
        """Why the program failed, None if it did not, once it has ended."""
        if not self.returncode:
            return None
        with self.log.open(encoding='utf-8', errors='replace') as out:
            out.seek(self.log_start)
            reason = last_error(out.read())
        if self.returncode > 0:
            return reason
        return f'stopped by {signal.Signals(-self.returncode).name} after: {reason}'

    def stop(self):
        """End the process and its workers, by force after a while."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(self.pid, number)
                self.wait(PATIENCE_SECONDS)
                return


def last_error(text):
    """The line of a program's output that says why it ended: its error message, else the last."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith('error: ')]
    return (errors or lines or ['it printed nothing'])[-1].removeprefix('error: ')
