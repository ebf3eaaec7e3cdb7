"""A training in a process of its own that runs a few steps when it is told to."""

import itertools
import multiprocessing
import signal
import tempfile
import time

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

import mmlite  # noqa: F401  (a new process has not imported it)
from mmlite.engine import launch
from mmlite.engine.check_config import check_config
from mmlite.errors import UserError

STOCK_LOOPS = {ours: stock for stock, ours in launch.TRAIN_LOOPS.items() if isinstance(stock, str)}
ENDLESS = 10**9
CONTEXT = multiprocessing.get_context('spawn')


class Done(Exception):
    """Nobody wants more steps."""


class Training:
    """Trains by a config, a turn of steps at a time; a context manager that ends the process.

    Nothing is saved or validated, and training goes on behind the end of its schedule. The process
    is waiting between two turns, so that of several trainings in turns each has the machine alone.

    Args:
        path (str): Config file.
        options (dict | None): Overrides of ``--cfg-options``.
        safe (bool): As ``tools/train.py`` does it: random numbers by sample, loops that resume
            anywhere, hooks for signals and for values that are not finite; or by mmengine's own
            loops and hooks.
        warmup (int): Steps of a turn that do not count.
        steps (int): Steps behind them that do.
    """

    def __init__(self, path, options, safe, warmup, steps):
        self._pipe, theirs = CONTEXT.Pipe()
        self._process = CONTEXT.Process(
            target=_serve, args=(theirs, path, options, safe, warmup, steps)
        )
        self._process.start()
        theirs.close()

    def turn(self):
        """Run a turn.

        Returns:
            list[float]: Seconds from the end of a step to the end of the next, loading included.

        Raises:
            UserError: Of the training.
            RuntimeError: The process has ended; its traceback was printed.
        """
        try:
            self._pipe.send(True)
            reply = self._pipe.recv()
        except (EOFError, BrokenPipeError) as error:
            raise RuntimeError('the training has ended by itself') from error
        if isinstance(reply, UserError):
            raise reply
        return reply

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._pipe.close()
        self._process.join()


class Clock(Hook):
    """Sends the seconds of a turn through a pipe, and waits there for the next turn."""

    priority = 'LOWEST'

    def __init__(self, pipe, warmup, steps):
        self.pipe, self.warmup, self.steps = pipe, warmup, steps
        self.ends = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.ends.append(time.perf_counter())
        if len(self.ends) > self.warmup + self.steps:
            counted = self.ends[self.warmup :]
            self.pipe.send([late - early for early, late in itertools.pairwise(counted)])
            self.ends.clear()
            _wait(self.pipe)


def _wait(pipe):
    try:
        pipe.recv()
    except EOFError as error:
        raise Done from error


def _serve(pipe, path, options, safe, warmup, steps):
    """What the process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, who closes the pipe
    try:
        _wait(pipe)
        with tempfile.TemporaryDirectory() as folder:
            runner = Runner.from_cfg(_config(path, folder, options, safe))
            runner.register_hook(Clock(pipe, warmup, steps))
            runner.train()
    except Done:
        pass
    except UserError as error:
        pipe.send(error)


def _config(path, folder, options, safe):
    cfg = launch.read_config(path, folder, options)
    check_config(cfg, 'train')
    cfg.log_level = 'WARNING'
    cfg.default_hooks.checkpoint.interval = ENDLESS
    for key in ('max_epochs', 'max_iters', 'val_interval'):
        if key in cfg.train_cfg:
            cfg.train_cfg[key] = ENDLESS
    if safe:
        launch.add_hooks(cfg, launch.TRAIN_HOOKS)
    else:
        cfg.train_cfg.type = STOCK_LOOPS.get(cfg.train_cfg.type, cfg.train_cfg.type)
    return cfg
