"""A training with and one without what makes it safe, of the same weights, in turns."""

import itertools
import multiprocessing
import shutil
import signal
import tempfile
import time
from contextlib import ExitStack

import torch
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

import mmlite  # noqa: F401  (a new process has not imported it)
from mmlite.engine import launch
from mmlite.engine.check_config import check_config
from mmlite.engine.hooks import FiniteHook, StopHook
from mmlite.errors import NonFiniteError, UserError

STOCK_LOOPS = {ours: stock for stock, ours in launch.TRAIN_LOOPS.items() if isinstance(stock, str)}
ENDLESS = 10**9
CONTEXT = multiprocessing.get_context('spawn')


class Trainings:
    """Two trainings of one model in a process of their own; a context manager that ends it.

    With: as ``tools/train.py`` trains, random numbers by sample, loops that resume anywhere, hooks
    for signals and for values that are not finite. Without: mmengine's own loops and hooks. Both
    have their own loader and take turns on the same weights, gradients and optimiser, since two
    processes differ by more than what is to be measured: each has its own place in memory. Nothing
    is saved or validated, and training goes on behind the end of its schedule.

    Args:
        path (str): Config file.
        options (dict | None): Overrides of ``--cfg-options``.
        warmup (int): Steps of a turn that do not count.
        steps (int): Steps behind them that do.
    """

    def __init__(self, path, options, warmup, steps):
        self._pipe, theirs = CONTEXT.Pipe()
        self._process = CONTEXT.Process(target=_serve, args=(theirs, path, options, warmup, steps))
        self._process.start()
        theirs.close()

    def turn(self, safe):
        """Run a turn of one training.

        Args:
            safe (bool): Of the one with.

        Returns:
            list[float]: Seconds from the end of a step to the end of the next, loading included.

        Raises:
            UserError: Of the training.
            RuntimeError: The process has ended; its traceback was printed.
        """
        try:
            self._pipe.send(safe)
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


def _serve(pipe, path, options, warmup, steps):
    """What the process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, who closes the pipe
    folder = tempfile.mkdtemp()
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        try:
            plain = _Training(path, options, folder, safe=False)
            both = plain, _Training(path, options, folder, safe=True, beside=plain)
            for safe in _requests(pipe):
                pipe.send(both[safe].turn(warmup, steps))
        except UserError as error:
            if isinstance(error, NonFiniteError):
                stack.pop_all()  # the failed step is in the folder, which its sentence names
            pipe.send(error)


def _requests(pipe):
    while True:
        try:
            yield pipe.recv()
        except EOFError:
            return


class _Training:
    """A training that stands before its first step.

    Args:
        path, options: See :class:`Trainings`.
        folder (str): Work directory.
        safe (bool): Of the one with.
        beside (_Training | None): Whose model and optimiser it trains, too.
    """

    def __init__(self, path, options, folder, safe, beside=None):
        self.runner = Runner.from_cfg(_config(path, options, folder, safe))
        if beside:
            self.runner.model = beside.runner.model
            self.runner.optim_wrapper = beside.runner.optim_wrapper
        self.runner.register_hook(_Start())
        try:
            self.runner.train()
        except _Ready:
            pass
        loop = self.runner.train_loop
        self._run = loop.run_iter
        if isinstance(loop, EpochBasedTrainLoop):
            again_and_again = itertools.chain.from_iterable(itertools.repeat(loop.dataloader))
            self._batches = enumerate(again_and_again)
        else:
            self._batches = zip(loop.dataloader_iterator)
        self._watching = [h for h in self.runner.hooks if isinstance(h, (FiniteHook, StopHook))]
        self._rest()

    def turn(self, warmup, steps):
        """See :meth:`Trainings.turn`."""
        for hook in self._watching:
            hook.before_train(self.runner)
        ends = [self._step() for _ in range(warmup + 1 + steps)][warmup:]
        self._rest()
        return [late - early for early, late in itertools.pairwise(ends)]

    def _step(self):
        self._run(*next(self._batches))
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter()

    def _rest(self):
        """Let the other training have model, optimiser and signals as they were."""
        for hook in self._watching:
            hook.after_train(self.runner)


class _Start(Hook):
    """Stops a runner when all is ready for the first step."""

    priority = 'LOWEST'

    def before_train_epoch(self, runner):
        raise _Ready


class _Ready(Exception):
    """The first step would be next."""


def _config(path, options, folder, safe):
    cfg = launch.read_config(path, folder, options)
    check_config(cfg, 'train')
    cfg.log_level = 'WARNING'
    cfg.experiment_name = f'safe {safe}'  # runners of one name would share what they log
    cfg.default_hooks.checkpoint.interval = ENDLESS
    for key in ('max_epochs', 'max_iters', 'val_interval'):
        if key in cfg.train_cfg:
            cfg.train_cfg[key] = ENDLESS
    if safe:
        launch.add_hooks(cfg, launch.TRAIN_HOOKS)
    else:
        cfg.train_cfg.type = STOCK_LOOPS.get(cfg.train_cfg.type, cfg.train_cfg.type)
    return cfg
