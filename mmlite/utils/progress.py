"""Progress of long work, with the remaining time."""

import sys
import time
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar


class Progress:
    """A bar on a terminal; elsewhere a line at every tenth. Written to stderr.

    Use it as a context manager and call :meth:`advance`, or iterate over :meth:`track`.

    Args:
        description (str): What is being done.
        total (int): Number of steps.
        unit (str): What a step is, e.g. ``'images'``.
        done (int): Steps that an earlier run has done.
    """

    def __init__(self, description, total, unit='steps', done=0):
        self.description, self.total, self.unit = description, total, unit
        self.done = self._resumed = done
        self._start = time.monotonic()
        self._tenth = 10 * done // max(total, 1)
        self._bar = None

    def __enter__(self):
        if sys.stderr.isatty():
            columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn())
            self._bar = Bar(*columns, TimeRemainingColumn(), console=Console(stderr=True))
            self._bar.start()
            self._task = self._bar.add_task(self.description, total=self.total, completed=self.done)
        return self

    def __exit__(self, *_):
        if self._bar:
            self._bar.stop()

    def advance(self, steps=1, note=''):
        """Count ``steps``; ``note`` is appended to the line."""
        self.done += steps
        if self._bar:
            description = f'{self.description} {note}'.rstrip()
            self._bar.update(self._task, completed=self.done, description=description)
        elif 10 * self.done // max(self.total, 1) > self._tenth:
            self._tenth = 10 * self.done // self.total
            speed = (self.done - self._resumed) / max(time.monotonic() - self._start, 1e-6)
            left = format_seconds((self.total - self.done) / max(speed, 1e-9))
            line = f'{self.description}: {self.done}/{self.total} {self.unit}, {speed:.1f}/s'
            print(f'{line}, {left} left {note}'.rstrip(), file=sys.stderr, flush=True)

    def track(self, items):
        """Iterate over ``items``, counting each after its turn."""
        with self:
            for item in items:
                yield item
                self.advance()


def format_seconds(seconds):
    """Format a duration as ``h:mm:ss``, from a day on with the number of days before it."""
    return str(timedelta(seconds=round(seconds)))
